/* segan send: files to a destination, by C-STORE or STOW-RS, as the node would send them. segan echo: whether it answers. */
#include "dicom/scu.h"
#include "service/commands/commands.h"
#include "service/commands/common.h"
#include "service/commands/destination.h"
#include "service/flow/deliver_stow.h"
#include "service/flow/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char send_usage[] =
    "usage: segan send DESTINATION FILE...\n"
    "DESTINATION: a name of the configuration, as the node would reach it (TLS, certificates); or AET@HOST:PORT, without TLS.\n"
    "  --config FILE  the node's configuration (default /etc/segand/segand.json)\n"
    "One line a file; exit 1 when one was not stored.\n";
static const char echo_usage[] =
    "usage: segan echo DESTINATION\n"
    "C-ECHO to a destination of the configuration, as the node would reach it (TLS, certificates), or to AET@HOST:PORT, without TLS; says who refuses whom.\n"
    "  --config FILE  the node's configuration (default /etc/segand/segand.json)\n";

/* Options and DESTINATION. -1: done (help), 0: go on, else an exit status. caller: settings_free(*s). */
static int
start(int argc, char **argv, const char *usage, struct settings **s, struct destination_setting *d)
{
	static const struct command_option options[] = { { "config", required_argument, 0, 0 } };
	const char *config = NULL;
	int rc = command_options(argc, argv, options, 1, usage, &config);
	struct err e;

	if (rc != 0)
		return rc;
	if (optind >= argc)
		return command_usage(usage, "a destination is missing");
	if ((*s = command_settings(config, &e)) == NULL || destination_find(*s, argv[optind], d, &e) != 0 || dicom_start(&e) != 0)
		return command_config(&e);
	return 0;
}

/* One line a file; text: the peer's words. 1 when it was not stored. */
static size_t
print_fate(const char *file, bool is_stored, bool is_refused, const char *text)
{
	printf("%s: %s%s", file, is_stored ? "stored" : is_refused ? "refused" : "not stored", text[0] != '\0' ? ": " : "");
	command_print_plain(stdout, text);
	putchar('\n');
	return is_stored ? 0 : 1;
}

static int
send_dimse(const struct settings *s, const struct destination_setting *d, char **files, size_t n)
{
	struct scu_peer peer = peer_of_destination(s, d);
	struct scu_result *results = calloc(n, sizeof *results);
	struct err e;
	size_t bad = 0;
	int rc = EXIT_GOOD;

	if (results == NULL) {
		err_set(&e, ERR_LIMIT, "no memory for %zu files", n);
		return command_fail(&e);
	}
	if (scu_store(&peer, (const char *const *)files, n, results, &e) != 0)
		rc = command_fail(&e);
	for (size_t i = 0; i < n && rc == EXIT_GOOD; i++)
		bad += print_fate(files[i], results[i].outcome == SCU_STORED, results[i].outcome == SCU_REFUSED, results[i].text);
	rc = bad > 0 ? EXIT_FAILED : rc;
	free(results);
	return rc;
}

static int
send_stow(const struct destination_setting *d, char **files, size_t n)
{
	static const atomic_bool never = false;
	struct err e;
	size_t bad = 0;

	if (stow_start(&e) != 0)
		return command_fail(&e);
	for (size_t i = 0; i < n; i++) {
		struct stow_result result;
		stow_store(d, files[i], &never, &result);
		bad += print_fate(files[i], result.outcome == STOW_STORED, result.outcome == STOW_REFUSED, result.text);
	}
	return bad > 0 ? EXIT_FAILED : EXIT_GOOD;
}

int
command_send(int argc, char **argv)
{
	struct settings *s = NULL;
	struct destination_setting d;
	int rc = start(argc, argv, send_usage, &s, &d);
	size_t n = (size_t)(argc - optind) - 1;

	if (rc == 0 && optind + 1 >= argc)
		rc = command_usage(send_usage, "files to send are missing");
	else if (rc == 0)
		rc = d.type == DESTINATION_STOW ? send_stow(&d, argv + optind + 1, n) : send_dimse(s, &d, argv + optind + 1, n);
	settings_free(s);
	return rc < 0 ? EXIT_GOOD : rc;
}

int
command_echo(int argc, char **argv)
{
	struct settings *s = NULL;
	struct destination_setting d;
	struct scu_peer peer;
	struct err e;
	int rc = start(argc, argv, echo_usage, &s, &d);

	if (rc == 0 && d.type == DESTINATION_STOW) {
		rc = command_usage(echo_usage, "%s is a STOW-RS destination; C-ECHO is for DIMSE peers", d.name);
	} else if (rc == 0) {
		peer = peer_of_destination(s, &d);
		if (scu_echo(&peer, &e) != 0)
			rc = command_fail(&e);
		else
			printf("%s@%s:%u answers\n", peer.called_aet, peer.host, peer.port);
	}
	settings_free(s);
	return rc < 0 ? EXIT_GOOD : rc;
}
