/* The subcommands of segan: one file each, one row in segan.c. run: argv[0] is the subcommand's name; returns the exit status:
 * 0 good, 1 failed, 2 usage or configuration. */
#pragma once

int command_segment(int argc, char **argv);
int command_inspect(int argc, char **argv);
int command_dataset(int argc, char **argv);
int command_evaluate(int argc, char **argv);
int command_train(int argc, char **argv);
int command_model(int argc, char **argv);
int command_jobs(int argc, char **argv);
int command_token(int argc, char **argv);
int command_send(int argc, char **argv);
int command_echo(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_spool(int argc, char **argv);
int command_backup(int argc, char **argv);
int command_restore(int argc, char **argv);
