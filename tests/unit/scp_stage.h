/* For the tests of the SCP: one of its own a test, on a free port, with a handler that takes notes and refuses when told to. */
#pragma once
#include "tests/unit/peers.h"

enum { SIZE = 116000 };

/* What the handler saw, and how it is to answer. */
struct seen {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t n_opened, n_received, n_closed, n_released;
	struct scp_peer peer;
	struct scp_instance last;
	char path[512];              /* of the last one, kept when keep is set */
	bool keep, may_report, reports_only;
	char transaction[65];        /* of the last report */
	size_t n_reported, n_committed, n_failed;
	unsigned reason;             /* of the last failure in it */
	enum err_code refuse_open, refuse_early, refuse_late; /* ERR_NONE: no */
	unsigned refusal;
};

struct stage { char dir[256], tmp[300], out[300]; struct seen seen; struct scp_handler handler; struct scp_config config; struct scp *scp; };

UNUSED_IS_FINE int
opened(void *arg, const struct scp_peer *peer, struct scp_admission *a, struct err *e)
{
	struct seen *s = arg;
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	s->peer = *peer;
	if (s->refuse_open != ERR_NONE)
		rc = err_set(e, s->refuse_open, "not you");
	else
		*a = (struct scp_admission){ (int64_t)++s->n_opened, !s->reports_only, s->may_report || s->reports_only };
	pthread_mutex_unlock(&s->lock);
	return rc;
}

UNUSED_IS_FINE int
may_store(void *arg, struct err *e)
{
	struct seen *s = arg;

	pthread_mutex_lock(&s->lock);
	int rc = s->refuse_early == ERR_NONE ? 0 : err_set(e, s->refuse_early, "the disk is nearly full");
	pthread_mutex_unlock(&s->lock);
	return rc;
}

UNUSED_IS_FINE int
received(void *arg, int64_t id, const struct scp_instance *i, struct err *e)
{
	struct seen *s = arg;
	int rc = 0;

	assert_true(id > 0);
	pthread_mutex_lock(&s->lock);
	s->last = *i;
	snprintf(s->path, sizeof s->path, "%s", i->path);
	if (!s->keep)
		unlink(i->path);
	s->n_received++;
	if (s->refuse_late != ERR_NONE) {
		if (s->refusal != 0)
			*i->refusal = s->refusal;
		rc = err_set(e, s->refuse_late, "instance 1.2.3: it is wrong \\ caf\xc3\xa9 and this text is far longer than the sixty-four characters that go out");
	}
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

UNUSED_IS_FINE int
reported(void *arg, int64_t id, const struct commitment_report *r, struct err *e)
{
	struct seen *s = arg;

	assert_true(id > 0);
	pthread_mutex_lock(&s->lock);
	s->n_reported++;
	snprintf(s->transaction, sizeof s->transaction, "%s", r->transaction);
	for (size_t i = 0; i < r->n; i++) {
		s->n_committed += r->items[i].reason == 0;
		s->n_failed += r->items[i].reason != 0;
		s->reason = r->items[i].reason != 0 ? r->items[i].reason : s->reason;
	}
	int rc = s->refuse_late == ERR_NONE ? 0 : err_set(e, s->refuse_late, "not this one");
	pthread_mutex_unlock(&s->lock);
	return rc;
}

UNUSED_IS_FINE void
closed(void *arg, int64_t id, bool is_released)
{
	struct seen *s = arg;

	assert_true(id > 0);
	pthread_mutex_lock(&s->lock);
	s->n_closed++;
	s->n_released += is_released;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

UNUSED_IS_FINE void
wait_closed(struct stage *t, size_t n)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	pthread_mutex_lock(&t->seen.lock);
	while (t->seen.n_closed < n)
		assert_int_equal(pthread_cond_timedwait(&t->seen.changed, &t->seen.lock, &until), 0);
	pthread_mutex_unlock(&t->seen.lock);
}

UNUSED_IS_FINE void
refuse(struct stage *t, enum err_code to_open, enum err_code early, enum err_code late, unsigned refusal)
{
	pthread_mutex_lock(&t->seen.lock);
	t->seen.refuse_open = to_open;
	t->seen.refuse_early = early;
	t->seen.refuse_late = late;
	t->seen.refusal = refusal;
	pthread_mutex_unlock(&t->seen.lock);
}

UNUSED_IS_FINE void
start(struct stage *t)
{
	struct err e;

	t->scp = scp_start(&t->config, &t->handler, &e);
	if (t->scp == NULL)
		fail_msg("%s", e.text);
	assert_in_range(scp_port(t->scp), 1, 65535);
}

UNUSED_IS_FINE int
setup(void **state)
{
	struct stage *t = calloc(1, sizeof *t);
	struct err e;

	assert_non_null(t);
	make_dir(t->dir);
	snprintf(t->tmp, sizeof t->tmp, "%s/tmp", t->dir);
	snprintf(t->out, sizeof t->out, "%s/out", t->dir);
	assert_int_equal(file_make_dirs(t->tmp, 0700, &e), 0);
	pthread_mutex_init(&t->seen.lock, NULL);
	pthread_cond_init(&t->seen.changed, NULL);
	t->handler = (struct scp_handler){ &t->seen, opened, may_store, received, reported, closed, NULL };
	t->config = (struct scp_config){ .aet = "SEGAN", .bind = "127.0.0.1", .tmp_dir = t->tmp, .max_associations = 8, .max_pdu = 131072,
		.idle_timeout_s = 20, .max_instance_bytes = 1 << 30, .check_called_aet = true };
	*state = t;
	return 0;
}

UNUSED_IS_FINE int
teardown(void **state)
{
	struct stage *t = *state;

	scp_stop(t->scp);
	remove_dir(t->dir);
	pthread_mutex_destroy(&t->seen.lock);
	pthread_cond_destroy(&t->seen.changed);
	free(t);
	return 0;
}

UNUSED_IS_FINE int
run(struct stage *t, const char *tool, const char *option, const char *value, const char *file)
{
	char port[16];
	const char *argv[12];
	size_t n = 0;

	snprintf(port, sizeof port, "%u", scp_port(t->scp));
	argv[n++] = tool;
	argv[n++] = "-aet";
	argv[n++] = "SENDER";
	argv[n++] = "-aec";
	argv[n++] = "SEGAN";
	if (option != NULL)
		argv[n++] = option;
	if (value != NULL)
		argv[n++] = value;
	argv[n++] = "127.0.0.1";
	argv[n++] = port;
	if (file != NULL)
		argv[n++] = file;
	argv[n] = NULL;
	pthread_mutex_lock(&t->seen.lock);           /* what was read of it lies before what this sender causes; ThreadSanitizer cannot see that */
	pthread_mutex_unlock(&t->seen.lock);
	return end_of(start_peer(argv, t->out));
}

UNUSED_IS_FINE struct scu_peer
ourselves(const struct stage *t)
{
	return (struct scu_peer){ "127.0.0.1", "SEGAN", "TESTER", scp_port(t->scp), 10, { 0 } };
}

UNUSED_IS_FINE struct scu_result
store_one(const struct stage *t, const char *path)
{
	struct scu_peer p = ourselves(t);
	struct scu_result r;
	struct err e;

	if (scu_store(&p, &path, 1, &r, &e) != 0)
		fail_msg("%s", e.text);
	return r;
}

UNUSED_IS_FINE void
file_in(const struct stage *t, const char *name, char path[512], bool is_implicit, size_t n_pixels)
{
	snprintf(path, 512, "%s/%s", t->dir, name);
	write_dicom(path, MR, "1.2.3.4.5", is_implicit, n_pixels);
}

/* Whether the next association works: what every misbehaving peer must leave intact. */
UNUSED_IS_FINE void
still_serves(struct stage *t)
{
	struct scu_peer p = ourselves(t);
	struct err e;

	if (scu_echo(&p, &e) != 0)
		fail_msg("%s", e.text);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
