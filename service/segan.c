/* The command line: a table of subcommands. */
#include "service/commands/commands.h"
#include "service/commands/common.h"

#include "config/log.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct command {
	const char *name, *summary;
	int (*run)(int argc, char **argv);
	bool computes; /* needs the right OpenBLAS kernels */
} commands[] = {
	{ "segment", "DIR... -o OUT.dcm: segment a study on disk, no daemon needed", command_segment, true },
	{ "inspect", "DIR...: what each series is, which model fits and why not; nothing is run", command_inspect, false },
	{ "dataset", "create SET, show SET: pack cases for training and evaluation", command_dataset, false },
	{ "evaluate", "--model NAME --data SET: a model against the truth of held-back cases", command_evaluate, true },
	{ "model", "list, show, add, export, verify, promote, rollback", command_model, true },
	{ "train", "--data SET --out RUN: train a model on a data set", command_train, true },
	{ "jobs", "list, show, retry, cancel the jobs of a node", command_jobs, false },
	{ "token", "add NAME --role ROLE, list, revoke NAME: who may ask a node over HTTP", command_token, false },
	{ "send", "DESTINATION FILE...: store files at a peer", command_send, false },
	{ "echo", "DESTINATION: does the peer answer?", command_echo, false },
	{ "spool", "reindex: a broken or lost database again, from the files of a node that is stopped", command_spool, false },
	{ "backup", "DIR: everything of a node, while it runs", command_backup, false },
	{ "restore", "DIR: a node as it was when the backup was made", command_restore, false },
	{ "bench", "how fast the models are on this machine: ms a slice, GFLOPS, memory", command_bench, true },
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static int
help(FILE *to)
{
	fputs("segan " SEGAN_VERSION ": segments brain MR studies. Research use only, not a medical device.\nusage: segan COMMAND ...\n", to);
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].summary);
	fputs("segan COMMAND --help tells everything about one. Exit status: 0 good, 1 failed, 2 usage or configuration.\n", to);
	return to == stdout ? EXIT_GOOD : EXIT_USAGE;
}

int
main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_WARN);
	if (argc < 2)
		return help(stderr);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
		return help(stdout);
	if (strcmp(argv[1], "--version") == 0)
		return puts("segan " SEGAN_VERSION) < 0;
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(argv[1], commands[i].name) == 0) {
			if (commands[i].computes)
				command_use_right_core(argv);
			return commands[i].run(argc - 1, argv + 1);
		}
	fprintf(stderr, "segan: there is no command \"%s\"\n", argv[1]);
	return help(stderr);
}
