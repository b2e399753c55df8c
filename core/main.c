/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The command line, and nothing else. */
#include "control/control.h"
#include "control/signaller.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

static void usage(FILE *out)
{
    fputs("usage: fairlead [-c FILE] [-b DIRECTORY] [-I] [-q] [-t | -T | -s SIGNAL]\n"
          "  -c FILE       configuration (default " FAIRLEAD_CONFIG_FILE ")\n"
          "  -b DIRECTORY  where the balancing strategies are\n"
          "  -t            test the configuration and stop\n"
          "  -T            the same, and print the effective configuration; given twice, with its secrets\n"
          "  -I            allow files that everybody may write to\n"
          "  -q            say nothing but what is wrong\n"
          "  -s SIGNAL     tell the running process: reload, quit, stop, reopen or upgrade\n"
          "  -v            print the version and stop\n"
          "  -V            the same, and how it was built\n"
          "  -h            print this\n",
          out);
}

static void print_build(void)
{
    puts("fairlead " FAIRLEAD_VERSION "\n"
         "compiler " __VERSION__ "\n"
         "configuration " FAIRLEAD_CONFIG_FILE "\n"
         "strategies " FAIRLEAD_BALANCERS_DIR);
}

struct choice {
    struct control_options options;
    bool test, print;
    const char *signal; /* of -s; NULL: none */
};

/* What is asked of every program. */
static const struct option words[] = {{"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'v'}, {0}};

/* Returns -1 to go on, or the exit status. */
static int read_arguments(int argc, char **argv, struct choice *choice)
{
    int option;

    while ((option = getopt_long(argc, argv, "c:b:ItTqs:vVh", words, NULL)) != -1) {
        switch (option) {
        case 'c':
            choice->options.config_path = optarg;
            break;
        case 'b':
            choice->options.balancers_dir = optarg;
            break;
        case 't':
            choice->test = true;
            break;
        case 'I':
            choice->options.allow_insecure_files = true;
            break;
        case 'T':
            choice->options.show_secrets = choice->print;
            choice->test = choice->print = true;
            break;
        case 'q':
            choice->options.quiet = true;
            break;
        case 's':
            choice->signal = optarg;
            break;
        case 'v':
            puts("fairlead " FAIRLEAD_VERSION);
            return 0;
        case 'V':
            print_build();
            return 0;
        case 'h':
            usage(stdout);
            return 0;
        default:
            usage(stderr);
            return 2;
        }
    }
    if (optind == argc && !(choice->test && choice->signal))
        return -1;
    usage(stderr);
    return 2;
}

int main(int argc, char **argv)
{
    struct choice choice = {.options = {.config_path = FAIRLEAD_CONFIG_FILE, .argv = argv}};
    int status = read_arguments(argc, argv, &choice);

    if (status >= 0)
        return status;
    if (choice.signal && !signaller_signal(choice.signal)) {
        fprintf(stderr, "fairlead: invalid option: \"-s %s\"\n", choice.signal);
        return 2;
    }
    if (choice.signal)
        return signaller_run(&choice.options, choice.signal);
    return choice.test ? control_test(&choice.options, choice.print) : control_serve(&choice.options);
}
