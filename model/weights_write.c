/* safetensors, the writing side: header padded with spaces to a multiple of 8 bytes, tensors in the order given, without a gap. */
#include "config/file.h"
#include "config/json.h"
#include "model/weights.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static struct json *
entry(const struct tensor *t, size_t begin)
{
	struct json *v = json_new_object(), *shape = json_new_array(), *offsets = json_new_array();

	for (size_t i = 0; i < t->n_dims; i++)
		json_add_number(shape, (double)t->dims[i]);
	json_add_number(offsets, (double)begin);
	json_add_number(offsets, (double)(begin + t->size * sizeof(float)));
	json_set_string(v, "dtype", "F32");
	json_set(v, "shape", shape);
	json_set(v, "data_offsets", offsets);
	return v;
}

/* The header's text, padded; *n its length, *n_data the bytes of all tensors. caller: free. */
static char *
header(const struct tensor *tensors, size_t n_tensors, size_t *n, size_t *n_data, struct err *e)
{
	struct json *root = json_new_object();
	char *text, *padded;
	size_t length;

	*n_data = 0;
	for (size_t i = 0; i < n_tensors; i++) {
		json_set(root, tensors[i].name, entry(&tensors[i], *n_data));
		*n_data += tensors[i].size * sizeof(float);
	}
	text = json_print(root, false, e);
	json_free(root);
	if (!text)
		return NULL;
	length = strlen(text);
	*n = (length + 7) / 8 * 8;
	padded = realloc(text, *n + 1);
	if (!padded) {
		free(text);
		err_set(e, ERR_LIMIT, "no memory for the header of the weights");
		return NULL;
	}
	memset(padded + length, ' ', *n - length);
	return padded;
}

int
weights_write(const char *path, const struct tensor *tensors, size_t n, struct err *e)
{
	size_t n_header = 0, n_data = 0, at;
	char *text = header(tensors, n, &n_header, &n_data, e), *bytes = NULL;
	int result = -1;

	if (!text)
		goto out;
	bytes = malloc(8 + n_header + n_data);
	if (!bytes) {
		err_set(e, ERR_LIMIT, "no memory for %zu bytes of weights", n_data);
		goto out;
	}
	for (size_t i = 0; i < 8; i++)
		bytes[i] = (char)(unsigned char)((uint64_t)n_header >> (8 * i));
	memcpy(bytes + 8, text, n_header);
	at = 8 + n_header;
	for (size_t i = 0; i < n; at += tensors[i++].size * sizeof(float))
		memcpy(bytes + at, tensors[i].values, tensors[i].size * sizeof(float));
	result = file_write(path, bytes, at, e);
out:
	free(text);
	free(bytes);
	return result;
}
