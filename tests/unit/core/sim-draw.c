// SPDX-License-Identifier: GPL-2.0-or-later
/* One drawing: a trace over time, and what it costs under each policy. */
#include <stdio.h>

#include "sim.h"

#define WIDTH	900
#define LEFT	70
#define PANEL	110
#define GAP	34

/* A line of @n values, scaled to [0, max], below @top. */
static void line(FILE *f, unsigned int top, const char *colour, double max,
		 unsigned int n, double (*value)(const struct sim_sample *),
		 const struct sim_sample *x)
{
	unsigned int i;

	fprintf(f, "<polyline fill='none' stroke='%s' stroke-width='1' points='", colour);
	for (i = 0; i < n; i += 2) {
		double v = value(&x[i]) / max;

		v = v < 0 ? 0 : v > 1 ? 1 : v;
		fprintf(f, "%.1f,%.1f ",
			LEFT + (double)i * (WIDTH - LEFT - 10) / n,
			top + PANEL - v * PANEL);
	}
	fprintf(f, "'/>\n");
}

static void frame(FILE *f, unsigned int top, const char *title, const char *most)
{
	fprintf(f, "<rect x='%d' y='%u' width='%d' height='%d' fill='none' stroke='#999'/>\n",
		LEFT, top, WIDTH - LEFT - 10, PANEL);
	fprintf(f, "<text x='%d' y='%u' font-weight='bold'>%s</text>\n", LEFT,
		top - 6, title);
	fprintf(f, "<text x='%d' y='%u' text-anchor='end'>%s</text>\n", LEFT - 5,
		top + 10, most);
	fprintf(f, "<text x='%d' y='%u' text-anchor='end'>0</text>\n", LEFT - 5,
		top + PANEL);
}

static double faults(const struct sim_sample *x)
{
	return (double)x->faults;
}

static double running(const struct sim_sample *x)
{
	return x->running;
}

static double used_free(const struct sim_sample *x)
{
	return x->used < x->limit ? (double)(x->limit - x->used) : 0;
}

static double low_free(const struct sim_sample *x)
{
	return (double)(x->limit - x->low);
}

static double high_free(const struct sim_sample *x)
{
	return (double)(x->limit - x->high);
}

static void bars(FILE *f, unsigned int top, const struct sim_result results[10])
{
	double most = 0;
	unsigned int k;

	for (k = 0; k < 10; k++) {
		const double ms = (double)sim_stall(&results[k]) / MS;

		most = ms > most ? ms : most;
	}
	for (k = 0; k < 10; k++) {
		const struct sim_result *r = &results[k];
		const unsigned int x = LEFT + 20 + k * 80;
		const double part[3] = {
			(double)r->stall_fetch / MS,
			(double)(r->stall_direct + r->stall_cpu) / MS,
			(double)r->cpu / MS,
		};
		const double scale = PANEL / most;

		fprintf(f, "<rect x='%u' y='%.1f' width='24' height='%.1f' fill='#88a'/>\n",
			x, top + PANEL - part[0] * scale, part[0] * scale);
		fprintf(f, "<rect x='%u' y='%.1f' width='24' height='%.1f' fill='#c33'/>\n",
			x, top + PANEL - (part[0] + part[1]) * scale,
			part[1] * scale);
		fprintf(f, "<rect x='%u' y='%.1f' width='24' height='%.1f' fill='#4a4'/>\n",
			x + 26, top + PANEL - part[2] * scale, part[2] * scale);
		if (k)
			fprintf(f, "<text x='%u' y='%u' text-anchor='middle'>static %u</text>\n",
				x + 25, top + PANEL + 14, k - 1);
		else
			fprintf(f, "<text x='%u' y='%u' text-anchor='middle' font-weight='bold'>feedback</text>\n",
				x + 25, top + PANEL + 14);
		fprintf(f, "<text x='%u' y='%u' text-anchor='middle' fill='#666'>%.0f, %.0f</text>\n",
			x + 25, top + PANEL + 27, part[0] + part[1], part[2]);
	}
}

int sim_draw(const char *path, const struct sim *s,
	     const struct sim_result results[10])
{
	const unsigned int step = PANEL + GAP;
	unsigned int n, top = 30;
	const struct sim_sample *x = sim_samples(s, &n);
	FILE *f = fopen(path, "w");

	if (!f) {
		perror(path);
		return 1;
	}
	fprintf(f, "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%u' font-family='sans-serif' font-size='11'>\n",
		WIDTH, 30 + 4 * step + 10);
	fprintf(f, "<!-- SPDX-License-Identifier: GPL-2.0-or-later; drawn by tests/unit/core/sim -->\n");
	fprintf(f, "<rect width='100%%' height='100%%' fill='white'/>\n");
	frame(f, top, "faults per ms", "1000");
	line(f, top, "#448", 1000, n, faults, x);
	top += step;
	frame(f, top, "reclaim threads", "8");
	line(f, top, "#a50", 8, n, running, x);
	top += step;
	frame(f, top, "pages below the limit: free (black), low mark (green), high mark (red)", "6000");
	line(f, top, "#000", 6000, n, used_free, x);
	line(f, top, "#4a4", 6000, n, low_free, x);
	line(f, top, "#c33", 6000, n, high_free, x);
	top += step;
	frame(f, top, "the whole trace, ms: waiting for memory (blue), of it direct reclaim and lost CPU (red); CPU of reclaim (green)", "");
	bars(f, top, results);
	fprintf(f, "</svg>\n");
	if (fclose(f)) {
		perror(path);
		return 1;
	}
	return 0;
}
