/* An archive that behaves as a script says: associations that bring objects follow `plan`, a letter each, the last one again and again; questions follow `find`.
 * A thread a peer, one association at a time, PDUs by hand (peers.h). It keeps what it takes: how often each content came under which SOP Instance UID.
 *   plan: g stored   w stored with a warning   f out of resources   x A900   c C000   r rejected for now   R rejected for good   n no presentation context
 *         a aborts in mid-data set   s takes it and drops the connection   d drops both   h takes nothing and never answers   l takes it and answers too late
 *         k stores and closes without a release   p closes at once   D keeps it and says that it had it (0111)   o answers for another instance
 *         j accepts with a transfer syntax that nobody offered
 *   find: y answers by what it has   n not offered   e refuses with C001   h never answers   b busy (A700)
 *         E matches for ever */
#pragma once
#include "tests/unit/peers.h"

enum { PEER_KEEPS = 40 };
struct kept { char sop_uid[65]; unsigned char *bytes; size_t n; };
struct scripted_peer {
	const char *plan;
	char find;
	const char *study[10];            /* what it knows of the study: keyword's tag order of answer_study; [0] NULL: nothing */
	unsigned port;
	int listener;
	pthread_t thread;
	pthread_mutex_t lock;             /* guards kept, n_kept, n_bringing, n_asked */
	struct kept kept[PEER_KEEPS];
	size_t n_kept, n_bringing, n_asked;
};

struct asked { unsigned char ids[64]; char classes[64][65], syntaxes[64][65]; size_t n; bool is_question; };

static void
copy_text(char *to, size_t room, const unsigned char *from, size_t n)
{
	snprintf(to, room, "%.*s", (int)n, (const char *)from);
}

static size_t
big2(const unsigned char *p)
{
	return (size_t)p[0] << 8 | p[1];
}

static void
read_request(const struct bytes *rq, struct asked *a)
{
	memset(a, 0, sizeof *a);
	for (size_t at = 68; at + 4 <= rq->n; at += 4 + big2(rq->at + at + 2)) {
		const unsigned char *item = rq->at + at + 4;
		size_t n = big2(rq->at + at + 2);
		if (rq->at[at] != 0x20 || a->n == 64)
			continue;
		a->ids[a->n] = item[0];
		for (size_t k = 4; k + 4 <= n; k += 4 + big2(item + k + 2))
			copy_text(item[k] == 0x30 ? a->classes[a->n] : a->syntaxes[a->n], 65, item + k + 4, big2(item + k + 2));
		a->is_question = a->is_question || strcmp(a->classes[a->n], FIND) == 0;
		a->n++;
	}
}

static void
accept_request(int fd, const struct bytes *rq, const struct asked *a, bool takes, const char *syntax /* NULL: what was offered */)
{
	struct bytes b = { 0 }, user = { 0 };

	put(&b, rq->at, 68);
	put_item(&b, 0x10, "1.2.840.10008.3.1.1.1", 21);
	for (size_t i = 0; i < a->n; i++) {
		struct bytes c = { 0 };
		put_big(&c, (uint32_t)a->ids[i] << 24 | (takes ? 0 : 3) << 8, 4);
		put_item(&c, 0x40, syntax != NULL ? syntax : a->syntaxes[i], strlen(syntax != NULL ? syntax : a->syntaxes[i]));
		put_item(&b, 0x21, c.at, c.n);
		free(c.at);
	}
	put_item(&user, 0x51, "\0\0\x40\0", 4);
	put_item(&user, 0x52, "1.2.3", 5);
	put_item(&b, 0x50, user.at, user.n);
	send_pdu(fd, 2, b.at, b.n);
	free(b.at);
	free(user.at);
}

/* The next PDU without a test's patience: 0 when the other side is gone. */
static unsigned
next_pdu(int fd, struct bytes *value)
{
	unsigned char head[6];

	*value = (struct bytes) { 0 };
	if (recv(fd, head, 6, MSG_WAITALL) != 6)
		return 0;
	value->n = (size_t)head[2] << 24 | (size_t)head[3] << 16 | (size_t)head[4] << 8 | head[5];
	if (value->n >= 1 << 20 || (value->at = malloc(value->n + 1)) == NULL)
		return 0;
	return recv(fd, value->at, value->n, MSG_WAITALL) == (ssize_t)value->n ? head[0] : 0;
}

struct message { struct bytes command, data; unsigned char context; };

static void
message_free(struct message *m)
{
	free(m->command.at);
	free(m->data.at);
	*m = (struct message) { 0 };
}

/* A whole message, or of one with data only its beginning. False: released, aborted, gone. */
static bool
next_message(int fd, struct message *m, bool only_begin)
{
	bool is_over = false;

	*m = (struct message) { 0 };
	while (!is_over) {
		struct bytes v;
		unsigned type = next_pdu(fd, &v);
		for (size_t at = 0; type == 4 && at + 6 <= v.n;) {
			size_t n = (size_t)v.at[at] << 24 | (size_t)v.at[at + 1] << 16 | (size_t)v.at[at + 2] << 8 | v.at[at + 3];
			bool is_command = v.at[at + 5] & 1;
			m->context = v.at[at + 4];
			put(is_command ? &m->command : &m->data, v.at + at + 6, n - 2);
			is_over = is_over || (!is_command && ((v.at[at + 5] & 2) || only_begin));
			at += 4 + n;
		}
		free(v.at);
		if (type == 5)
			send_pdu(fd, 6, "\0\0\0\0", 4);
		if (type != 4)
			return false;
	}
	return true;
}

static const unsigned char *
command_value(const struct message *m, unsigned element, size_t *n)
{
	for (size_t at = 0; at + 8 <= m->command.n;) {
		const unsigned char *p = m->command.at + at;
		*n = (size_t)p[4] | (size_t)p[5] << 8;
		if ((unsigned)(p[2] | p[3] << 8) == element)
			return p + 8;
		at += 8 + *n;
	}
	*n = 0;
	return NULL;
}

static void
respond_for(int fd, const struct message *m, unsigned field, unsigned status, const struct bytes *data, const char *sop_uid)
{
	struct bytes b = { 0 }, all = { 0 };
	size_t n;
	const unsigned char *sop_class = command_value(m, 2, &n);
	unsigned char u[2] = { field & 255, (unsigned char)(field >> 8) }, s[2] = { status & 255, (unsigned char)(status >> 8) };

	put_element(&b, 0, 2, NULL, sop_class, n);
	put_element(&b, 0, 0x100, NULL, u, 2);
	put_element(&b, 0, 0x120, NULL, command_value(m, 0x110, &n), 2);
	put_element(&b, 0, 0x800, NULL, data == NULL ? "\1\1" : "\0\0", 2);
	put_element(&b, 0, 0x900, NULL, s, 2);
	if (sop_uid != NULL)
		put_text(&b, 0, 0x1000, NULL, sop_uid);
	put_little(&all, 0, 4);
	put_little(&all, 4, 4);
	put_little(&all, (uint32_t)b.n, 4);
	put(&all, b.at, b.n);
	send_fragment(fd, m->context, true, true, all.at, all.n);
	if (data != NULL)
		send_fragment(fd, m->context, false, true, data->at, data->n);
	free(b.at);
	free(all.at);
}

static void
respond(int fd, const struct message *m, unsigned field, unsigned status, const struct bytes *data)
{
	respond_for(fd, m, field, status, data, NULL);
}

static void
keep(struct scripted_peer *p, const struct message *m)
{
	size_t n;
	const unsigned char *uid = command_value(m, 0x1000, &n);
	struct kept *k = &p->kept[p->n_kept];

	pthread_mutex_lock(&p->lock);
	assert_true(p->n_kept < PEER_KEEPS && uid != NULL);
	copy_text(k->sop_uid, sizeof k->sop_uid, uid, n);
	k->n = m->data.n;
	k->bytes = malloc(k->n);
	assert_non_null(k->bytes);
	memcpy(k->bytes, m->data.at, k->n);
	p->n_kept++;
	pthread_mutex_unlock(&p->lock);
}

/* ---- questions ---- */

static void
answer_image(struct scripted_peer *p, int fd, const struct message *m)
{
	for (size_t i = 0; i < p->n_kept; i++) {
		struct bytes d = { 0 };
		if (memmem(m->data.at, m->data.n, p->kept[i].sop_uid, strlen(p->kept[i].sop_uid)) == NULL)
			continue;
		put_text(&d, 8, 0x18, "UI", p->kept[i].sop_uid);
		put_text(&d, 8, 0x52, "CS", "IMAGE");
		respond(fd, m, 0x8020, 0xFF00, &d);
		free(d.at);
		break;
	}
}

static void
answer_study(struct scripted_peer *p, int fd, const struct message *m)
{
	static const struct { unsigned group, element; const char *vr; } at[] = { { 8, 5, "CS" }, { 8, 0x20, "DA" }, { 8, 0x50, "SH" }, { 8, 0x52, "CS" }, { 0x10, 0x10, "PN" },
		{ 0x10, 0x20, "LO" }, { 0x10, 0x21, "LO" }, { 0x10, 0x30, "DA" }, { 0x10, 0x40, "CS" }, { 0x20, 0xD, "UI" } };
	struct bytes d = { 0 };

	for (size_t i = 0; i < 10; i++)
		if (p->study[i] != NULL)
			put_text(&d, at[i].group, at[i].element, at[i].vr, p->study[i]);
	respond(fd, m, 0x8020, 0xFF00, &d);
	free(d.at);
}

/* Large ones, so that it is soon too much. */
static void
answer_for_ever(int fd, const struct message *m)
{
	struct pollfd heard = { .fd = fd, .events = POLLIN };
	struct bytes d = { 0 };
	char name[12000];

	/* what is sent to a side that has gone with its window shut is not refused before a minute is over */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval) { .tv_usec = 100000 }, sizeof(struct timeval));
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	put_text(&d, 8, 0x52, "CS", "STUDY");
	put_text(&d, 0x10, 0x20, "LO", name);
	while (poll(&heard, 1, 0) == 0)
		respond(fd, m, 0x8020, 0xFF00, &d);
	free(d.at);
}

static void
answer_questions(struct scripted_peer *p, int fd)
{
	struct message m;

	while (next_message(fd, &m, false)) {
		if (p->find == 'h') {
			(void)is_closed_by_peer(fd);
		} else if (p->find == 'E') {
			answer_for_ever(fd, &m);
		} else if (p->find == 'y') {
			if (memmem(m.data.at, m.data.n, "IMAGE", 5) != NULL)
				answer_image(p, fd, &m);
			else if (p->study[0] != NULL)
				answer_study(p, fd, &m);
			respond(fd, &m, 0x8020, 0, NULL);
		} else {
			respond(fd, &m, 0x8020, p->find == 'b' ? 0xA700 : 0xC001, NULL);
		}
		message_free(&m);
	}
	message_free(&m);
}

/* ---- objects ---- */

static void
take_objects(struct scripted_peer *p, int fd, char how)
{
	static const struct { char how; unsigned status; } statuses[] = { { 'g', 0 }, { 'w', 0xB000 }, { 'f', 0xA700 }, { 'x', 0xA900 }, { 'c', 0xC000 }, { 'k', 0 }, { 'D', 0x0111 } };
	struct message m;

	while (next_message(fd, &m, how == 'a')) {
		if (strchr("gwslkD", how) != NULL)
			keep(p, &m);
		for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
			if (statuses[i].how == how)
				respond(fd, &m, 0x8001, statuses[i].status, NULL);
		if (how == 'o')
			respond_for(fd, &m, 0x8001, 0, NULL, "1.2.3.4");
		message_free(&m);
		if (how == 'a')
			send_pdu(fd, 7, "\0\0\0\0", 4);
		if (how == 'h' || how == 'l')
			(void)is_closed_by_peer(fd);   /* whatever is said then comes too late */
		if (strchr("asdhlk", how) != NULL)
			return;
	}
	message_free(&m);
}

static void
serve_association(struct scripted_peer *p, int fd)
{
	size_t plan = strlen(p->plan);
	struct bytes rq;
	struct asked a;
	char how;

	if (next_pdu(fd, &rq) != 1) {
		free(rq.at);
		return;
	}
	read_request(&rq, &a);
	pthread_mutex_lock(&p->lock);
	how = a.is_question ? p->find : p->plan[p->n_bringing < plan ? p->n_bringing : plan - 1];
	p->n_bringing += !a.is_question;
	p->n_asked += a.is_question;
	pthread_mutex_unlock(&p->lock);
	if (how == 'r' || how == 'R') {
		send_pdu(fd, 3, how == 'r' ? "\0\2\3\1" : "\0\1\1\3", 4);
	} else if (how != 'p') {
		accept_request(fd, &rq, &a, how != 'n', how == 'j' ? "1.2.840.10008.1.2.2" : NULL);
		if (a.is_question)
			answer_questions(p, fd);
		else
			take_objects(p, fd, how);
	}
	free(rq.at);
}

static void *
serve_script(void *arg)
{
	struct scripted_peer *p = arg;
	int fd;

	while ((fd = accept(p->listener, NULL, NULL)) >= 0) {
		serve_association(p, fd);
		close(fd);
	}
	return NULL;
}

/* port 0: any. plan, find and study are set already. */
static void
open_scripted(struct scripted_peer *p, unsigned port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port) };
	socklen_t n = sizeof at;

	pthread_mutex_init(&p->lock, NULL);
	p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(setsockopt(p->listener, SOL_SOCKET, SO_REUSEADDR, &(int) { 1 }, sizeof(int)), 0);
	assert_int_equal(bind(p->listener, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(p->listener, 8), 0);
	assert_int_equal(getsockname(p->listener, (struct sockaddr *)&at, &n), 0);
	p->port = ntohs(at.sin_port);
	assert_int_equal(pthread_create(&p->thread, NULL, serve_script, p), 0);
}

/* Then what it kept may be looked at. */
static void
stop_scripted(struct scripted_peer *p)
{
	shutdown(p->listener, SHUT_RDWR);
	pthread_join(p->thread, NULL);
	close(p->listener);
	pthread_mutex_destroy(&p->lock);
}

static void
free_scripted(struct scripted_peer *p)
{
	for (size_t i = 0; i < p->n_kept; i++)
		free(p->kept[i].bytes);
}
