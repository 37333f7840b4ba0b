/* See audit_syslog.h. */
#include "service/flow/audit_syslog.h"

#include "config/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FACILITY = 10 << 3, NOTICE = 5, WARNING = 4, HOST = 256 /* RFC 5424 6.2.4: 255 printable characters */ };

/* "-" is RFC 5424's word for "not known". */
static void
host_name(char host[HOST])
{
	if (gethostname(host, HOST) != 0)
		host[0] = '\0';
	host[HOST - 1] = '\0';
	for (char *p = host; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~')
			*p = '_';
	if (host[0] == '\0')
		snprintf(host, HOST, "-");
}

static int
connect_to(struct audit_syslog *s, const char *path, struct err *e)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof to.sun_path)
		return err_set(e, ERR_IO, "audit.syslog %s: longer than a socket's path may be", path);
	memcpy(to.sun_path, path, strlen(path) + 1);
	s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return err_errno(e, "a socket for the syslog");
	if (connect(s->fd, (struct sockaddr *)&to, sizeof to) == 0)
		return 0;
	err_errno(e, "syslog %s", path);
	audit_syslog_close(s);
	return -1;
}

/* One that was started again has another socket under the same name: connected anew once. */
static int
send_line(struct audit_syslog *s, const char *path, const char *line, size_t n, struct err *e)
{
	for (int tries = 0; tries < 2; tries++) {
		if (s->fd < 0 && connect_to(s, path, e) != 0)
			break;
		if (send(s->fd, line, n, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)n)
			return 0;
		if (errno == EMSGSIZE)
			return err_set(e, ERR_LIMIT, "syslog %s takes no message of %zu bytes", path, n);
		if (errno == EAGAIN || errno == ENOBUFS) {
			err_set(e, ERR_IO, "syslog %s is full", path);
			return -1;
		}
		err_errno(e, "syslog %s", path);
		audit_syslog_close(s);
	}
	e->code = ERR_IO;
	return -1;
}

int
audit_syslog_send(struct audit_syslog *s, const char *path, const struct audit_row *r, const char *xml, struct err *e)
{
	char host[HOST], time[CLOCK_TEXT], *line;
	int n, rc;

	host_name(host);
	clock_text(r->time_ms, time);
	n = asprintf(&line, "<%d>1 %s %s segand %ld DICOM+RFC3881 - \xef\xbb\xbf%s", FACILITY + (r->outcome == AUDIT_GOOD ? NOTICE : WARNING), time, host, (long)getpid(), xml);
	if (n < 0)
		return err_set(e, ERR_IO, "no memory for an audit message");
	rc = send_line(s, path, line, (size_t)n, e);
	free(line);
	return rc;
}

void
audit_syslog_close(struct audit_syslog *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}
