/* JPEG 2000: see jpeg2000.h. */
#include "dicom/jpeg2000.h"

#include <openjpeg.h>
#include <stdio.h>
#include <string.h>

struct source { const uint8_t *bytes; size_t n, at; };

static OPJ_SIZE_T
read_source(void *to, OPJ_SIZE_T n, void *arg)
{
	struct source *s = arg;
	size_t left = s->n - s->at;

	if (left == 0)
		return (OPJ_SIZE_T)-1;                /* its word for the end */
	n = n < left ? n : left;
	memcpy(to, s->bytes + s->at, n);
	s->at += n;
	return n;
}

static OPJ_OFF_T
skip_source(OPJ_OFF_T n, void *arg)
{
	struct source *s = arg;

	if (n < 0 || (size_t)n > s->n - s->at)
		return -1;
	s->at += (size_t)n;
	return n;
}

static OPJ_BOOL
seek_source(OPJ_OFF_T at, void *arg)
{
	struct source *s = arg;

	if (at < 0 || (size_t)at > s->n)
		return OPJ_FALSE;
	s->at = (size_t)at;
	return OPJ_TRUE;
}

/* Its first complaint, without the line's end. */
static void
keep_complaint(const char *text, void *arg)
{
	char *first = arg;

	if (first[0] == '\0')
		snprintf(first, 128, "%.*s", (int)strcspn(text, "\r\n"), text);
}

static opj_stream_t *
open_source(struct source *s)
{
	opj_stream_t *stream = opj_stream_create(s->n, OPJ_TRUE);

	if (stream == NULL)
		return NULL;
	opj_stream_set_user_data(stream, s, NULL);
	opj_stream_set_user_data_length(stream, s->n);
	opj_stream_set_read_function(stream, read_source);
	opj_stream_set_skip_function(stream, skip_source);
	opj_stream_set_seek_function(stream, seek_source);
	return stream;
}

static int
take_words(const opj_image_t *image, size_t rows, size_t cols, uint16_t *words, struct err *e)
{
	const opj_image_comp_t *c = &image->comps[0];

	if (image->numcomps != 1 || c->w != cols || c->h != rows || c->prec > 16 || c->data == NULL)
		return err_set(e, ERR_INPUT, "%u components of %ux%u, %u bits", image->numcomps, c->w, c->h, c->prec);
	for (size_t i = 0; i < rows * cols; i++)
		words[i] = (uint16_t)c->data[i];
	return 0;
}

int
jpeg2000_decode(const uint8_t *bytes, size_t n, size_t rows, size_t cols, uint16_t *words, struct err *e)
{
	struct source s = { bytes, n, 0 };
	opj_stream_t *stream = open_source(&s);
	opj_codec_t *codec = opj_create_decompress(OPJ_CODEC_J2K);
	opj_image_t *image = NULL;
	opj_dparameters_t parameters;
	char complaint[128] = "";
	int rc = -1;

	opj_set_default_decoder_parameters(&parameters);
	if (stream == NULL || codec == NULL) {
		err_set(e, ERR_LIMIT, "no memory for OpenJPEG");
		goto out;
	}
	opj_set_error_handler(codec, keep_complaint, complaint);
	if (!opj_setup_decoder(codec, &parameters) || !opj_decoder_set_strict_mode(codec, OPJ_TRUE) || !opj_read_header(stream, codec, &image) ||
	    !opj_decode(codec, stream, image) || !opj_end_decompress(codec, stream))
		err_set(e, ERR_INPUT, "OpenJPEG cannot decode it: %s", complaint[0] != '\0' ? complaint : "it gave no reason");
	else
		rc = take_words(image, rows, cols, words, e);
out:
	opj_image_destroy(image);
	opj_destroy_codec(codec);
	opj_stream_destroy(stream);
	return rc;
}
