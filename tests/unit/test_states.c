/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The drawings doc/client.dot, doc/exchange.dot and doc/health.dot show the states and the edges that the
 * code has, all of them and no others. Environment: FAIRLEAD_SRCDIR or srcdir, the top of the source tree
 * (default ".").
 */
#include "health/state.h"
#include "proxy/client.h"
#include "proxy/exchange.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define STATES_MAX 16u

/* One machine: its names, its sentences, its edges, as the code has them. */
struct machine {
    const char *drawing;
    unsigned n_states;
    const char *sentences[STATES_MAX];
    const char *(*name)(unsigned state);
    bool (*allowed)(unsigned from, unsigned to);
};

/* What was drawn. */
static unsigned n_drawn;
static bool drawn_states[STATES_MAX], drawn_edges[STATES_MAX][STATES_MAX];

static const char *client_name(unsigned state)
{
    return client_state_name((enum client_state)state);
}

static bool client_allowed(unsigned from, unsigned to)
{
    return client_edge_allowed((enum client_state)from, (enum client_state)to);
}

static const char *exchange_name(unsigned state)
{
    return exchange_state_name((enum exchange_state)state);
}

static bool exchange_allowed(unsigned from, unsigned to)
{
    return exchange_edge_allowed((enum exchange_state)from, (enum exchange_state)to);
}

static const char *check_name(unsigned state)
{
    return check_state_name((enum check_state)state);
}

static bool check_allowed(unsigned from, unsigned to)
{
    return check_edge_allowed((enum check_state)from, (enum check_state)to);
}

/* The last one has no end: a server is checked for as long as there is a health thread. */
#define N_MACHINES         3
#define N_WITH_AN_END      2
#define X(state, sentence) sentence,
static const struct machine machines[N_MACHINES] = {
    {"client.dot", CLIENT_N_STATES, {CLIENT_STATES(X)}, client_name, client_allowed},
    {"exchange.dot", EXCHANGE_N_STATES, {EXCHANGE_STATES(X)}, exchange_name, exchange_allowed},
    {"health.dot", CHECK_N_STATES, {CHECK_STATES(X)}, check_name, check_allowed},
};
#undef X

static unsigned state_of(const struct machine *machine, const char *name)
{
    for (unsigned i = 0; i < machine->n_states; i++)
        if (strcmp(machine->name(i), name) == 0)
            return i;
    ck_abort_msg("%s: there is no state %s", machine->drawing, name);
    return 0;
}

static void read_line(const struct machine *machine, const char *line)
{
    char from[32], to[32], sentence[256];

    if (sscanf(line, " %31[A-Z_] -> %31[A-Z_]", from, to) == 2) {
        bool *edge = &drawn_edges[state_of(machine, from)][state_of(machine, to)];

        ck_assert_msg(!*edge, "%s: %s -> %s stands there twice", machine->drawing, from, to);
        *edge = true;
        n_drawn++;
    } else if (sscanf(line, " %31[A-Z_] [label=\"%255[^\"]\"", from, sentence) == 2) {
        unsigned state = state_of(machine, from);

        ck_assert_msg(!drawn_states[state], "%s: %s stands there twice", machine->drawing, from);
        ck_assert_str_eq(sentence, machine->sentences[state]);
        drawn_states[state] = true;
    } else {
        ck_assert_msg(strstr(line, "->") == NULL, "%s: this is not understood: %s", machine->drawing, line);
    }
}

static void read_drawing(const struct machine *machine)
{
    const char *top = getenv("FAIRLEAD_SRCDIR");
    char path[1024], line[512];
    FILE *file;

    if (!top)
        top = getenv("srcdir") ? getenv("srcdir") : ".";
    snprintf(path, sizeof(path), "%s/doc/%s", top, machine->drawing);
    file = fopen(path, "re");
    ck_assert_msg(file != NULL, "cannot open %s", path);
    while (fgets(line, sizeof(line), file))
        if (strncmp(line, "//", 2) != 0)
            read_line(machine, line);
    fclose(file);
}

START_TEST(the_drawing_shows_every_state_by_its_name_and_sentence)
{
    const struct machine *machine = &machines[_i];

    read_drawing(machine);
    for (unsigned i = 0; i < machine->n_states; i++)
        ck_assert_msg(drawn_states[i], "%s lacks %s", machine->drawing, machine->name(i));
}
END_TEST

START_TEST(the_drawing_shows_exactly_the_edges_of_the_code)
{
    const struct machine *machine = &machines[_i];

    read_drawing(machine);
    ck_assert_uint_gt(n_drawn, 0);
    for (unsigned from = 0; from < machine->n_states; from++)
        for (unsigned to = 0; to < machine->n_states; to++)
            ck_assert_msg(drawn_edges[from][to] == machine->allowed(from, to), "%s: %s -> %s is %s",
                          machine->drawing, machine->name(from), machine->name(to),
                          machine->allowed(from, to) ? "not drawn" : "not allowed by the code");
}
END_TEST

START_TEST(nothing_follows_the_last_state_and_everything_leads_to_it)
{
    const struct machine *machine = &machines[_i];
    unsigned last = machine->n_states - 1;

    for (unsigned i = 0; i < last; i++) {
        ck_assert(!machine->allowed(last, i));
        ck_assert_msg(machine->allowed(i, last), "%s has no end", machine->name(i));
    }
    ck_assert(!machine->allowed(last, last));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("states");
    TCase *tests = tcase_create("promises");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(tests, the_drawing_shows_every_state_by_its_name_and_sentence, 0, N_MACHINES);
    tcase_add_loop_test(tests, the_drawing_shows_exactly_the_edges_of_the_code, 0, N_MACHINES);
    tcase_add_loop_test(tests, nothing_follows_the_last_state_and_everything_leads_to_it, 0, N_WITH_AN_END);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
