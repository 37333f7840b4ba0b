/* Builders of the two segmentors, `segan` (the paper's) and `unet` (Ronneberger et al. 2015), layer by layer as SEGAN.md "Networks" has them,
 * and the folding of BatchNorm. The form decides which operations a layer is made of; names and shapes are the same for all. */
#include "model/network.h"
#include "model/nn/packed.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct builder { struct graph *g; const struct network *network; enum network_form form; };

/* "segmentor.LEVEL.LEAF"; levels are the fixed words of this file, so it always fits. */
struct name { char text[PARAMETER_NAME]; };

static struct name
name(const char *level, const char *leaf)
{
	struct name n;

	snprintf(n.text, sizeof n.text, "segmentor.%s.%s", level, leaf);
	return n;
}

/* What goes into a convolution: the maps of a node, or of two side by side. */
struct maps { struct node *x, *beside; };

/* The maps of a, then those of b. Packed maps stay where they are. */
static struct maps
beside(const struct builder *b, struct node *first, struct node *second)
{
	return b->form == NETWORK_SERVING ? (struct maps){ first, second } : (struct maps){ node_concat(b->g, first, second), NULL };
}

/* Convolution without bias, BatchNorm, LeakyReLU: three nodes, two in training, or one when serving. suffix tells two of a level apart: "" or "1", "2". */
static struct node *
conv_norm(const struct builder *b, struct maps in, struct conv s, float slope, const char *level, const char *suffix)
{
	char conv[16], bn[16];
	struct node *x;

	snprintf(conv, sizeof conv, "conv%s", suffix);
	snprintf(bn, sizeof bn, "bn%s", suffix);
	if (b->form == NETWORK_SERVING)
		return node_packed_conv(b->g, &(struct packed_conv){ .s = s, .slope = slope, .x = in.x, .beside = in.beside }, name(level, conv).text);
	x = node_conv(b->g, in.x, s, name(level, conv).text);
	if (b->form == NETWORK_TRAINING)
		return node_norm_groups(b->g, x, (struct norm_groups){ 1, slope }, b->network->bn_eps, name(level, bn).text);
	return node_leaky(b->g, node_norm(b->g, x, b->network->bn_eps, name(level, bn).text), slope);
}

/* Resize x2, convolution, BatchNorm, ReLU, join with the encoder's map of that size. */
static struct maps
decode(const struct builder *b, struct maps in, struct conv s, struct node *skip, const char *level)
{
	const bool is_sum = b->network->skip == SKIP_SUM;
	struct node *x;

	if (b->form == NETWORK_SERVING) {
		x = node_packed_conv(b->g, &(struct packed_conv){ .s = s, .resized = true, .x = in.x, .beside = in.beside, .add = is_sum ? skip : NULL },
			name(level, "conv").text);
		return is_sum ? (struct maps){ x, NULL } : beside(b, skip, x);
	}
	x = conv_norm(b, (struct maps){ node_resize2(b->g, in.x), NULL }, s, 0, level, "");
	return is_sum ? (struct maps){ node_sum(b->g, x, skip), NULL } : beside(b, skip, x);
}

/* The first convolution of the paper's segmentor: with bias, no BatchNorm. */
static struct node *
first_conv(const struct builder *b, struct node *x, struct conv s, float slope, const char *level)
{
	s.bias = true;
	if (b->form == NETWORK_SERVING)
		return node_packed_conv(b->g, &(struct packed_conv){ .s = s, .slope = slope, .x = x }, name(level, "conv").text);
	return node_leaky(b->g, node_conv(b->g, x, s, name(level, "conv").text), slope);
}

/* The last one: with bias, neither BatchNorm nor activation. resized: of the maps resized x2. */
static struct node *
last_conv(const struct builder *b, struct maps in, struct conv s, bool resized)
{
	s.bias = true;
	if (b->form == NETWORK_SERVING)
		return node_packed_out(b->g, &(struct packed_conv){ .s = s, .resized = resized, .x = in.x, .beside = in.beside }, name("out", "conv").text);
	return node_conv(b->g, resized ? node_resize2(b->g, in.x) : in.x, s, name("out", "conv").text);
}

static struct node *
segan(const struct builder *b, struct node *x)
{
	static const char *const encoder[] = { "enc1", "enc2", "enc3", "enc4" }, *const decoder[] = { "dec1", "dec2", "dec3" };
	const size_t w = b->network->width;
	const float slope = (float)b->network->leaky_slope;
	struct node *level[4];                 /* w, 2w, 4w, 8w maps at 1/2, 1/4, 1/8, 1/16 of the size */
	struct maps in;

	for (size_t i = 0; i < 4; i++) {
		struct conv s = { .maps = w << i, .kernel = 4, .stride = 2, .pad = 1 };
		x = level[i] = i == 0 ? first_conv(b, x, s, slope, encoder[i]) : conv_norm(b, (struct maps){ x, NULL }, s, slope, encoder[i], "");
	}
	in = (struct maps){ x, NULL };
	for (size_t i = 3; i-- > 0;)
		in = decode(b, in, (struct conv){ .maps = w << i, .kernel = 3, .stride = 1, .pad = 1 }, level[i], decoder[i]);
	return last_conv(b, in, (struct conv){ .maps = b->network->labels, .kernel = 3, .stride = 1, .pad = 1 }, true);
}

/* [conv 3x3, BatchNorm, ReLU] x 2 */
static struct node *
unet_level(const struct builder *b, struct maps in, size_t maps, const char *level)
{
	struct conv s = { .maps = maps, .kernel = 3, .stride = 1, .pad = 1 };
	struct node *x = conv_norm(b, in, s, 0, level, "1");

	return conv_norm(b, (struct maps){ x, NULL }, s, 0, level, "2");
}

static struct node *
unet(const struct builder *b, struct node *x)
{
	static const char *const down[] = { "down1", "down2", "down3", "down4" }, *const up[] = { "up1", "up2", "up3", "up4" };
	const bool serves = b->form == NETWORK_SERVING;
	const size_t w = b->network->width;
	struct node *level[4];                 /* w, 2w, 4w, 8w maps at 1, 1/2, 1/4, 1/8 of the size */

	for (size_t i = 0; i < 4; i++) {
		level[i] = unet_level(b, (struct maps){ x, NULL }, w << i, down[i]);
		x = serves ? node_packed_pool(b->g, level[i]) : node_max_pool2(b->g, level[i]);
	}
	x = unet_level(b, (struct maps){ x, NULL }, w << 4, "middle");
	for (size_t i = 4; i-- > 0;) {
		const struct name conv = name(up[i], "conv");
		x = serves ? node_packed_up(b->g, x, w << i, conv.text) : node_up_conv(b->g, x, w << i, conv.text);
		x = unet_level(b, beside(b, x, level[i]), w << i, up[i]);
	}
	return last_conv(b, (struct maps){ x, NULL }, (struct conv){ .maps = b->network->labels, .kernel = 1, .stride = 1, .pad = 0 }, false);
}

struct node *
network_segmentor(struct graph *g, const struct network *network, enum network_form form, struct node *x)
{
	static struct node *(*const builders[])(const struct builder *, struct node *) = { [NETWORK_SEGAN] = segan, [NETWORK_UNET] = unet };
	const struct builder b = { g, network, form };

	if (form == NETWORK_SERVING)
		x = node_pack(g, x);
	return builders[network->kind](&b, x);
}

int
network_define(struct parameters *p, const struct network *network, enum network_form form, struct err *e)
{
	struct network_pass pass;

	if (network_pass_open(&pass, p, network, form, (struct shape){ 1, network->channels, NETWORK_MULTIPLE, NETWORK_MULTIPLE }, e) != 0)
		return -1;
	network_pass_close(&pass);
	return 0;
}

int
network_fill(struct parameters *p, tensor_find_fn find, const void *source, struct err *e)
{
	for (size_t i = 0; i < parameters_size(p); i++) {
		struct parameter *to = parameters_at(p, i);
		const struct tensor *from = find(source, to->name);

		if (!from)
			return err_set(e, ERR_INPUT, "the tensor %s is missing", to->name);
		if (from->n_dims != to->n_dims || memcmp(from->dims, to->dims, to->n_dims * sizeof *to->dims) != 0)
			return err_set(e, ERR_INPUT, "the tensor %s has another shape than the network's", to->name);
		memcpy(to->value, from->values, to->size * sizeof *to->value);
	}
	return 0;
}

/* The BatchNorm tensor that belongs to a convolution's weight: "a.conv1.weight", "running_var" -> "a.bn1.running_var". */
static const struct parameter *
norm_of(const struct parameters *plain, const char *weight, const char *leaf)
{
	const char *conv = strstr(weight, ".conv"), *end = strrchr(weight, '.');
	char text[PARAMETER_NAME + 32];

	if (!conv)
		return NULL;
	snprintf(text, sizeof text, "%.*s.bn%.*s.%s", (int)(conv - weight), weight, (int)(end - conv) - 5, conv + 5, leaf);
	return parameters_find(plain, text);
}

/* weight (maps, c, k, k) of a convolution that has BatchNorm behind it; bias (maps) follows weight in both sets' naming. */
static int
fold_one(const struct parameters *plain, const struct parameter *from, struct parameter *weight, struct parameter *bias, double eps, struct err *e)
{
	const struct parameter *gamma = norm_of(plain, from->name, "weight"), *beta = norm_of(plain, from->name, "bias");
	const struct parameter *mean = norm_of(plain, from->name, "running_mean"), *variance = norm_of(plain, from->name, "running_var");
	const size_t n = weight->size / weight->dims[0];

	if (!gamma || !beta || !mean || !variance)
		return err_set(e, ERR_BUG, "%s has neither bias nor normalisation", from->name);
	for (size_t m = 0; m < weight->dims[0]; m++) {
		double scale = gamma->value[m] / sqrt(variance->value[m] + eps);

		if (!(variance->value[m] >= 0))
			return err_set(e, ERR_INPUT, "the tensor %s has a negative variance", variance->name);
		for (size_t i = m * n; i < (m + 1) * n; i++)
			weight->value[i] = (float)(from->value[i] * scale);
		bias->value[m] = (float)(beta->value[m] - mean->value[m] * scale);
	}
	return 0;
}

/* "X.weight" -> the parameter "X.bias"; NULL when there is none. */
static struct parameter *
bias_of(const struct parameters *p, const char *weight)
{
	char text[PARAMETER_NAME + 8];

	snprintf(text, sizeof text, "%.*s.bias", (int)(strrchr(weight, '.') - weight), weight);
	return parameters_find(p, text);
}

static int
fold_all(const struct parameters *plain, struct parameters *serving, double bn_eps, struct err *e)
{
	for (size_t i = 0; i < parameters_size(serving); i++) {
		struct parameter *weight = parameters_at(serving, i), *bias = bias_of(serving, weight->name);
		const struct parameter *from = parameters_find(plain, weight->name), *from_bias = bias_of(plain, weight->name);

		if (bias == weight || weight->kind == PARAMETER_DERIVED)
			continue;              /* done together with its weight */
		if (!from || !bias)
			return err_set(e, ERR_BUG, "%s has no origin", weight->name);
		if (!from_bias) {
			if (fold_one(plain, from, weight, bias, bn_eps, e) != 0)
				return -1;
			continue;
		}
		memcpy(weight->value, from->value, weight->size * sizeof *weight->value);
		memcpy(bias->value, from_bias->value, bias->size * sizeof *bias->value);
	}
	return 0;
}

int
network_fold(const struct parameters *plain, struct parameters *serving, const struct network *network, struct err *e)
{
	const struct shape x = { 1, network->channels, NETWORK_MULTIPLE, NETWORK_MULTIPLE };
	struct network_pass pass;

	if (fold_all(plain, serving, network->bn_eps, e) != 0 || network_pass_open(&pass, serving, network, NETWORK_SERVING, x, e) != 0)
		return -1;
	packed_prepare(pass.graph);
	network_pass_close(&pass);
	return 0;
}

/* Of a convolution: every weight once an output pixel; of a transposed one, whose kernel is 2x2, an input pixel. */
static double
node_flops(const struct node *node)
{
	const struct parameter *weight = node->parameter[0];

	if (!node->op || !weight || weight->n_dims != 4)
		return 0;
	return 2.0 * (double)weight->size * (double)shape_plane(weight->dims[2] == 2 ? node->in[0]->shape : node->shape);
}

int
network_flops(const struct network *network, size_t h, size_t w, double *out, struct err *e)
{
	struct parameters *p = parameters_new(e);
	struct graph *g = p ? graph_new(p, e) : NULL;      /* never planned: shapes are all that is asked for */
	int rc = -1;

	if (g && !network_segmentor(g, network, NETWORK_PLAIN, graph_input(g, (struct shape){ 1, network->channels, h, w })))
		err_set(e, ERR_INPUT, "the network does not fit %zu x %zu", h, w);
	else if (g) {
		*out = 0;
		for (size_t i = 0; i < graph_size(g); i++)
			*out += node_flops(graph_at(g, i));
		rc = 0;
	}
	graph_free(g);
	parameters_free(p);
	return rc;
}

int
network_pass_open(struct network_pass *out, struct parameters *p, const struct network *network, enum network_form form, struct shape x, struct err *e)
{
	*out = (struct network_pass){ .graph = graph_new(p, e) };
	if (!out->graph)
		return -1;
	out->x = graph_input(out->graph, x);
	out->logits = network_segmentor(out->graph, network, form, out->x);
	out->probability = form == NETWORK_SERVING ? node_packed_sigmoid(out->graph, out->logits) : node_sigmoid(out->graph, out->logits);
	if (out->probability)
		out->logits->keep = out->probability->keep = true;
	if (graph_plan(out->graph, form == NETWORK_SERVING ? PLAN_REUSE : PLAN_EACH, e) == 0)
		return 0;
	network_pass_close(out);
	return -1;
}

void
network_pass_close(struct network_pass *pass)
{
	graph_free(pass->graph);
	*pass = (struct network_pass){ 0 };
}
