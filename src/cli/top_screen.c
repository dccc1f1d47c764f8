// SPDX-License-Identifier: Apache-2.0
// top_screen.c: the terminal while `hpt top` has it: the alternate screen (what was there comes back), no echo, keys one by
// one, the cursor hidden. Plain ECMA-48 and xterm's two private modes, which every terminal of the last decades knows; a
// library for terminals would bring a database of those that do not.
//
// Whatever ends the program gives the terminal back: q, Ctrl-C, SIGTERM, SIGHUP, SIGQUIT, an exit anywhere (atexit).
// Ctrl-Z gives it back for as long as the program is stopped. Signals are blocked but in the one place that waits, so
// none is missed and none interrupts anything else. Those that end programs end this one too, after the terminal is back;
// Ctrl-C is one more way to quit.
#include "top.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static const int SIGNALS[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
enum { N_SIGNALS = sizeof SIGNALS / sizeof *SIGNALS };

static struct termios before;
static sigset_t mask_before;
static struct sigaction actions_before[N_SIGNALS];
static bool is_open;
static volatile sig_atomic_t ending, stopping, resized;

static void on_signal(int number) {
    if (number == SIGWINCH)
        resized = 1;
    else if (number == SIGTSTP)
        stopping = 1;
    else
        ending = number;
}

static bool take_terminal(void) {
    struct termios raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) != 0) return false;
    fputs("\033[?1049h\033[?25l", stdout);
    fflush(stdout);
    return true;
}

static void give_terminal(void) {
    fprintf(stdout, "%s\033[?25h\033[?1049l", cli_color(stdout, "off"));
    fflush(stdout);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
}

bool top_screen_open(void) {
    static bool registered;
    sigset_t mask;
    if (!cli_is_terminal(stdout) || isatty(STDIN_FILENO) != 1 || tcgetattr(STDIN_FILENO, &before) != 0) return false;
    if (!registered && atexit(top_screen_close) != 0) return false;
    registered = true;
    (void)sigemptyset(&mask);
    for (int i = 0; i < N_SIGNALS; i++) {
        struct sigaction action = {.sa_handler = on_signal};
        (void)sigaction(SIGNALS[i], NULL, &actions_before[i]);
        if (SIGNALS[i] == SIGHUP && actions_before[i].sa_handler == SIG_IGN) continue; // nohup
        (void)sigaction(SIGNALS[i], &action, NULL);
        (void)sigaddset(&mask, SIGNALS[i]);
    }
    (void)sigprocmask(SIG_BLOCK, &mask, &mask_before);
    is_open = take_terminal();
    if (!is_open) (void)sigprocmask(SIG_SETMASK, &mask_before, NULL);
    return is_open;
}

void top_screen_close(void) {
    if (!is_open) return;
    is_open = false;
    give_terminal();
    for (int i = 0; i < N_SIGNALS; i++) (void)sigaction(SIGNALS[i], &actions_before[i], NULL);
    (void)sigprocmask(SIG_SETMASK, &mask_before, NULL);
    if (ending && ending != SIGINT) (void)raise(ending);
}

void top_screen_size(int *rows, int *columns) {
    struct winsize w;
    *rows = 24;
    *columns = 80;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0) return;
    if (w.ws_row > 0) *rows = w.ws_row;
    if (w.ws_col > 0) *columns = w.ws_col;
}

static void stop_here(void) {
    give_terminal();
    stopping = 0;
    (void)raise(SIGSTOP); // until SIGCONT
    (void)take_terminal();
}

static int key_of(const char *bytes, ssize_t n) {
    static const struct {
        const char *sequence;
        int key;
    } keys[] = {{"\033[A", TOP_UP},   {"\033OA", TOP_UP},    {"\033[B", TOP_DOWN}, {"\033OB", TOP_DOWN},
                {"\033[H", TOP_HOME}, {"\033[1~", TOP_HOME}, {"\033[F", TOP_END},  {"\033[4~", TOP_END}};
    if (bytes[0] != '\033') return (unsigned char)bytes[0];
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (n >= (ssize_t)strlen(keys[i].sequence) && !memcmp(bytes, keys[i].sequence, strlen(keys[i].sequence)))
            return keys[i].key;
    return n == 1 ? '\033' : TOP_TIMEOUT; // a sequence that means nothing here
}

int top_screen_key(double seconds) {
    static char waiting[64]; // typed ahead
    static ssize_t n_waiting;
    const struct timespec limit = {.tv_sec = (time_t)seconds,
                                   .tv_nsec = (long)(1e9 * (seconds - (double)(time_t)seconds))};
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    if (n_waiting == 0) {
        const int ready = ppoll(&p, 1, &limit, &mask_before);
        if (ending) return TOP_QUIT;
        if (stopping) stop_here(), resized = 1;
        if (resized) return resized = 0, TOP_RESIZED;
        if (ready < 0) return errno == EINTR ? TOP_TIMEOUT : TOP_QUIT;
        if (ready == 0) return TOP_TIMEOUT;
        n_waiting = read(STDIN_FILENO, waiting, sizeof waiting);
        if (n_waiting <= 0) return n_waiting = 0, TOP_QUIT; // the terminal is gone
    }
    const int key = key_of(waiting, n_waiting);
    const ssize_t used = waiting[0] == '\033' ? (key == '\033' ? 1 : key == TOP_TIMEOUT ? n_waiting : 3) : 1;
    n_waiting -= used;
    memmove(waiting, waiting + used, (size_t)n_waiting);
    return key;
}
