/* The record of a training: log.csv, a line every few steps, and curves.svg, the same as a picture. Lines are kept in memory, so a resumed run cuts off
 * what it will compute again. */
#pragma once
#include "model/game.h"

#include <stdint.h>

struct log_line {                      /* losses: means over the steps since the line before; nan: not measured */
	int64_t step;
	double lr;
	struct game_losses losses;
	double validation_dice, slices_per_second, minutes;
};

struct train_log;
/* Goes on with RUN/log.csv where it is there, without the lines behind that step. caller: train_log_free. */
struct train_log *train_log_open(const char *run, int64_t step, struct err *e);
void train_log_free(struct train_log *l);
int train_log_add(struct train_log *l, const struct log_line *line, struct err *e);   /* at once in log.csv */
int train_log_draw(const struct train_log *l, struct err *e);                         /* curves.svg */
