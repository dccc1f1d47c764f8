// SPDX-License-Identifier: Apache-2.0
// signals.c: the signals that end a run, and SIGCHLD, whichever thread of the process they reach.
//
// A signal sent to a process goes to any thread that does not block it, and signalfd reads what waits for the process or for the thread
// that reads. Blocking it in the run's thread is thus enough only if no other thread lets it through; but drivers and numerical
// libraries start threads of their own when they are loaded, and so may whoever embeds the library. SIGTERM would end the process
// there, without a word, with trials and MPS controllers left behind (seen on an H200), and SIGCHLD would be dropped. So
// they have a handler, which hands them on to the run's thread.
//
// SIGHUP stays ignored where the caller ignores it, as under nohup. SIGINT does not: shells without job control have all programs in their
// background ignore it, those of continuous integration among them, and a program that is asked to stop by name should.
//
// Ownership: none. Threads: enter and leave in the run's thread; the handler in any. Sources: signal(7), signalfd(2), nohup(1).
#include "signals.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <unistd.h>

static const int NUMBERS[HPT__SIGNALS] = {SIGCHLD, SIGINT, SIGTERM, SIGHUP};
static pthread_t receiver; // these are written before the handler is installed
static pid_t owner;
static const hpt__signals *held;

static void hand_on(int number) {
    const int error = errno;
    if (getpid() == owner) {
        (void)pthread_kill(receiver, number);
    } else { // a child that another thread forked has inherited the handler
        for (size_t i = 0; i < HPT__SIGNALS; i++)
            if (NUMBERS[i] == number) (void)sigaction(number, &held->before[i], NULL);
        (void)raise(number); // when this returns
    }
    errno = error;
}

void hpt__signals_enter(hpt__signals *s) {
    struct sigaction action = {.sa_handler = hand_on, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    (void)sigemptyset(&s->watched);
    receiver = pthread_self();
    owner = getpid();
    held = s;
    for (size_t i = 0; i < HPT__SIGNALS; i++) {
        (void)sigaction(NUMBERS[i], NULL, &s->before[i]);
        if (NUMBERS[i] != SIGHUP || s->before[i].sa_handler != SIG_IGN) (void)sigaddset(&s->watched, NUMBERS[i]);
    }
    (void)pthread_sigmask(SIG_BLOCK, &s->watched, &s->mask);
    for (size_t i = 0; i < HPT__SIGNALS; i++)
        if (sigismember(&s->watched, NUMBERS[i]) == 1) (void)sigaction(NUMBERS[i], &action, NULL);
}

void hpt__signals_leave(const hpt__signals *s) {
    for (size_t i = 0; i < HPT__SIGNALS; i++)
        if (sigismember(&s->watched, NUMBERS[i]) == 1) (void)sigaction(NUMBERS[i], &s->before[i], NULL);
    (void)pthread_sigmask(SIG_SETMASK, &s->mask, NULL);
}

void hpt__signals_reset(void) {
    const struct sigaction usual = {.sa_handler = SIG_DFL};
    struct sigaction now;
    for (size_t i = 0; i < HPT__SIGNALS; i++)
        if (NUMBERS[i] == SIGCHLD || (sigaction(NUMBERS[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN))
            (void)sigaction(NUMBERS[i], &usual, NULL);
}
