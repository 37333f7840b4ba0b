/* Winograd F(4x4, 3x3): the kernels' transforms, and the order of a band: images to frequencies (f43_tiles.c), a product a frequency (f43_product.c), and back. */
#include "model/nn/f43_own.h"

#include <string.h>

/* ---- forward ---- */

/* G k */
INLINE void
from_kernel(const lanes k[3], lanes t[SIDE])
{
	const lanes even = (k[0] + k[2]) * (-1 / 6.0f), odd = k[1] * (-1 / 6.0f), even2 = k[0] * (1 / 24.0f) + k[2] * (1 / 6.0f), odd2 = k[1] * (1 / 12.0f);

	t[0] = k[0] * 0.25f;
	t[1] = even + odd;
	t[2] = even - odd;
	t[3] = even2 + odd2;
	t[4] = even2 - odd2;
	t[5] = k[2];
}

/* Up to 16 kernels, `stride` floats apart, by G on both sides -> 36 vectors, `step` apart; from back to front when turned. */
static void
transform_kernels(const float *kernels, size_t n, size_t stride, bool turned, size_t step, float *to)
{
	lanes columns[SIDE][3];                /* [frequency down][x] */

	for (size_t x = 0; x < 3; x++) {
		float kernel[3][LANES] = { 0 };
		lanes k[3], t[SIDE];
		for (size_t y = 0; y < 3; y++)
			for (size_t i = 0; i < n; i++)
				kernel[y][i] = kernels[i * stride + (turned ? 8 - (y * 3 + x) : y * 3 + x)];
		for (size_t y = 0; y < 3; y++)
			k[y] = *(const lanes *)kernel[y];
		from_kernel(k, t);
		for (size_t f = 0; f < SIDE; f++)
			columns[f][x] = t[f];
	}
	for (size_t f = 0; f < SIDE; f++) {
		lanes t[SIDE];
		from_kernel(columns[f], t);
		for (size_t x = 0; x < SIDE; x++)
			*(lanes *)(to + (f * SIDE + x) * step) = t[x];
	}
}

void
f43_weight(const struct f43 *p, const float *weight, bool turned, float *to)
{
	const size_t step = f43_step(p->maps, f43_padded_c(p)), stride = turned ? p->maps * 9 : 9;

	for (size_t m = 0; m < p->maps; m++)
		for (size_t c = 0; c < p->c; c += LANES)
			transform_kernels(weight + (turned ? m * 9 : m * p->c * 9) + c * stride, p->c - c < LANES ? p->c - c : LANES, stride, turned, step,
				to + m * f43_padded_c(p) + c);
}

void
f43_forward(const struct f43 *p, const float *x, size_t n, const float *weight, struct f43_finish f, float *scratch, float *y)
{
	const size_t t = f43_tiles(p), in_step = f43_step(f43_padded_c(p), t), out_step = f43_step(p->maps, t), u_step = f43_step(p->maps, f43_padded_c(p));
	float *phases = scratch, *in = phases + IN_PHASES * f43_phase_step(p), *out = in + FREQUENCIES * in_step, *rows = out + FREQUENCIES * out_step;

	memset(phases, 0, IN_PHASES * f43_phase_step(p) * sizeof *phases);
	for (size_t first = 0; first < p->down; first += p->band) {
		f43_take_inputs(p, (struct f43_band){ n, first, phases }, x, in_step, in);
		for (size_t i = 0; i < FREQUENCIES; i++)
			f43_multiply(p->maps, t, (struct f43_product){ weight + i * u_step, f43_padded_c(p), in + i * in_step, t, p->c, out + i * out_step, t, false });
		f43_give_outputs(p, (struct f43_band){ n, first, phases }, out, f, rows, y);
	}
}

/* ---- the weight's gradient ---- */

/* Value 16 i + j goes where 2 i + j / 8 and 2 (j % 8) + i / 8 say: the bits of its place turn by one. */
INLINE void
deal(const lanes from[LANES], lanes to[LANES])
{
	for (size_t i = 0; i < LANES / 2; i++) {
		to[2 * i] = LOW(from[i], from[i + 8]);
		to[2 * i + 1] = HIGH(from[i], from[i + 8]);
	}
}

/* 16 rows of 16 values, `from_row` apart -> its transpose */
static void
transpose(const float *from, size_t from_row, float *to, size_t to_row)
{
	lanes a[LANES], b[LANES];

	for (size_t i = 0; i < LANES; i++)
		a[i] = *(const lanes *)(from + i * from_row);
	deal(a, b);
	deal(b, a);
	deal(a, b);
	deal(b, a);
	for (size_t i = 0; i < LANES; i++)
		*(lanes *)(to + i * to_row) = a[i];
}

/* (36, c, tiles) -> (36, tiles, c) */
static void
transpose_inputs(const struct f43 *p, const float *from, float *to)
{
	const size_t c = f43_padded_c(p), n = f43_tiles(p), from_step = f43_step(c, n), to_step = f43_step(n, c);

	for (size_t f = 0; f < FREQUENCIES; f++)
		for (size_t i = 0; i < c; i += LANES)
			for (size_t t = 0; t < n; t += LANES)
				transpose(from + f * from_step + i * n + t, n, to + f * to_step + t * c + i, c);
}

void
f43_add(const struct f43 *p, const float *x, const float *dy, size_t n, float *scratch, float *sums)
{
	const size_t c = f43_padded_c(p), t = f43_tiles(p), x_step = f43_step(c, t), y_step = f43_step(p->maps, t), turned_step = f43_step(t, c);
	const size_t sum_step = f43_step(p->maps, c);
	float *phases = scratch, *out_phases = phases + IN_PHASES * f43_phase_step(p), *in = out_phases + OUT_PHASES * f43_phase_step(p);
	float *out = in + FREQUENCIES * x_step, *turned = out + FREQUENCIES * y_step;

	memset(phases, 0, (IN_PHASES + OUT_PHASES) * f43_phase_step(p) * sizeof *phases);    /* what is behind the last tile counts nothing */
	for (size_t f = 0; f < FREQUENCIES; f++)
		memset(in + f * x_step + p->c * t, 0, (c - p->c) * t * sizeof *in);
	for (size_t first = 0; first < p->down; first += p->band) {
		f43_take_inputs(p, (struct f43_band){ n, first, phases }, x, x_step, in);
		transpose_inputs(p, in, turned);
		f43_take_gradients(p, (struct f43_band){ n, first, out_phases }, dy, out);
		for (size_t f = 0; f < FREQUENCIES; f++)
			f43_multiply(p->maps, c, (struct f43_product){ out + f * y_step, t, turned + f * turned_step, c, t, sums + f * sum_step, c, true });
	}
}

/* G' s */
INLINE void
to_kernel(const lanes s[SIDE], lanes k[3])
{
	const lanes even = s[1] + s[2], odd = s[2] - s[1], even2 = s[3] + s[4], odd2 = s[3] - s[4];

	k[0] = s[0] / 4 - even / 6 + even2 / 24;
	k[1] = odd / 6 + odd2 / 12;
	k[2] = s[5] - even / 6 + even2 / 6;
}

void
f43_gradient(const struct f43 *p, const float *sums, size_t n_parts, size_t stride, size_t m, float *gradient)
{
	const size_t step = f43_step(p->maps, f43_padded_c(p));

	for (size_t first = 0; first < p->c; first += LANES) {
		lanes half[3][SIDE], kernel[9];
		for (size_t x = 0; x < SIDE; x++) {
			lanes s[SIDE], k[3];
			for (size_t y = 0; y < SIDE; y++) {
				const float *from = sums + (y * SIDE + x) * step + m * f43_padded_c(p) + first;
				s[y] = *(const lanes *)from;
				for (size_t part = 1; part < n_parts; part++)
					s[y] += *(const lanes *)(from + part * stride);
			}
			to_kernel(s, k);
			for (size_t y = 0; y < 3; y++)
				half[y][x] = k[y];
		}
		for (size_t y = 0; y < 3; y++)
			to_kernel(half[y], kernel + 3 * y);
		for (size_t c = first; c < p->c && c < first + LANES; c++)
			for (size_t k = 0; k < 9; k++)
				gradient[(m * p->c + c) * 9 + k] += kernel[k][c - first];
	}
}
