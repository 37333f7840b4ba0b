/* Lines of the worker protocol, as an order and as an answer. An order that is understood prints, and the print is understood. */
#include "tests/fuzz/fuzz.h"

#include "service/flow/worker_order.h"

#include <stdlib.h>
#include <string.h>

static void
one(const uint8_t *bytes, size_t n)
{
	struct order o, again;
	struct answer a;
	struct err e;

	if (order_parse((const char *)bytes, n, &o, &e) == 0) {
		char *line = order_print(&o, &e), *second;
		fuzz_must(line != NULL && strchr(line, '\n') == NULL && order_parse(line, strlen(line), &again, &e) == 0);
		second = order_print(&again, &e);
		fuzz_must(second != NULL && strcmp(line, second) == 0);
		free(line);
		free(second);
		order_release(&again);
	} else {
		fuzz_must(e.code == ERR_INPUT || e.code == ERR_LIMIT);
	}
	order_release(&o);
	if (answer_parse((const char *)bytes, n, &a, &e) != 0)
		fuzz_must(e.code == ERR_PEER || e.code == ERR_LIMIT);
	else if (a.kind == ANSWER_PROGRESS)
		fuzz_must(a.progress >= 0 && a.progress <= 1);
	answer_release(&a);
}

const struct fuzz_target fuzz_worker = { "worker", NULL, one };
