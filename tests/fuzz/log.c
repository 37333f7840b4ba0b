/* What came from outside, in a log line: it stays one line, of printable characters, and no text ends its quotes. */
#include "tests/fuzz/fuzz.h"

#include "config/log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ROOM = 65536, LONGEST = 1000 /* of what stands before the text, so that both fit on a line */ };

/* Behind the time, the level and the event: quote and backslash only as \" \\ \xNN between the quotes, no quote and no blank in what has none. */
static void
check(const char *line, size_t n)
{
	static const char head[] = " error fuzz a=";
	const char *at = line + 24;

	fuzz_must(n > 24 + sizeof head && memchr(line, '\n', n) == line + n - 1 && memcmp(at, head, sizeof head - 1) == 0);
	for (at += sizeof head - 1; *at != ' ' && *at != '\n'; at++)
		fuzz_must((unsigned char)*at >= 0x20 && *at != '"');
	if (*at == '\n')
		return;
	fuzz_must(memcmp(at, " text=\"", 7) == 0);
	for (at += 7; *at != '"'; at++) {
		fuzz_must((unsigned char)*at >= 0x20 && *at != 0x7F);
		if (*at == '\\')
			at++;
	}
	fuzz_must(at == line + n - 2);
}

static void
one(const uint8_t *bytes, size_t n)
{
	static char line[ROOM];
	static int file = -1, kept = -1;
	char *text = fuzz_text(bytes, n);
	ssize_t got;

	if (file < 0) {
		file = memfd_create("log", MFD_CLOEXEC);
		kept = dup(STDERR_FILENO);
	}
	fuzz_must(file >= 0 && kept >= 0 && ftruncate(file, 0) == 0 && lseek(file, 0, SEEK_SET) == 0 && dup2(file, STDERR_FILENO) == STDERR_FILENO);
	log_event(LOG_ERROR, "fuzz", "a=%s text=\"%s\"", n % 2 == 0 && n < LONGEST ? text : "1", text);
	got = dup2(kept, STDERR_FILENO) == STDERR_FILENO ? pread(file, line, sizeof line, 0) : -1;
	fuzz_must(got > 0 && (size_t)got < sizeof line);
	check(line, (size_t)got);
	free(text);
}

const struct fuzz_target fuzz_log = { "log", NULL, one };
