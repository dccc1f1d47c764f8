// SPDX-License-Identifier: Apache-2.0
// shim_fiber.h: stacks to run on, and the change from one to another.
//
// On x86-64 a change is nine instructions of our own: swapcontext asks the kernel for the signal mask each time, which is
// ten times as long. Elsewhere, and with SHIM_UCONTEXT, it is swapcontext. AddressSanitizer is told of every change, and
// valgrind of every stack, where its header is installed.
// Ownership: a fiber's stack lives until fiber_unmap. Threads: a fiber stays with the launch that uses it (shim.cc's lock).
#ifndef HPT_SHIM_FIBER_H
#define HPT_SHIM_FIBER_H

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#if defined __SANITIZE_ADDRESS__
#define SHIM_ASAN 1
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define SHIM_ASAN 1
#endif
#endif
#ifdef SHIM_ASAN
#include <sanitizer/asan_interface.h>
#endif
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(low, high) 0
#endif
#if !defined __x86_64__ && !defined SHIM_UCONTEXT
#define SHIM_UCONTEXT 1
#endif
#ifdef SHIM_UCONTEXT
#include <ucontext.h>
#endif

enum : size_t { FIBER_PAGE = 4096, FIBER_STACK = 256 << 10 };

struct fiber {
#ifdef SHIM_UCONTEXT
    ucontext_t at;
#else
    void *at; // stack pointer where it stopped
#endif
    char *stack; // lowest address
    size_t size;
    void *fake;  // AddressSanitizer's
    fiber *next; // of those without work
};

static fiber *fiber_left; // by the latest change

#ifndef SHIM_UCONTEXT
// Saves the stack pointer to *save and goes on at `load`, which an earlier call saved or fiber_reset made up.
extern "C" void shim_swap(void **save, void *load);
asm(R"(
    .text
    .type shim_swap, @function
shim_swap:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size shim_swap, . - shim_swap
)");
#endif

// Makes `f` begin with `entry`, whatever it was doing.
static void fiber_reset(fiber *f, void (*entry)()) {
#ifdef SHIM_ASAN
    ASAN_UNPOISON_MEMORY_REGION(f->stack, f->size); // of frames that are given up
#endif
    f->fake = nullptr;
#ifdef SHIM_UCONTEXT
    (void)getcontext(&f->at);
    f->at.uc_stack.ss_sp = f->stack;
    f->at.uc_stack.ss_size = f->size;
    f->at.uc_link = nullptr;
    makecontext(&f->at, entry, 0);
#else
    // Six registers, the address that `ret` takes, and a return address of 0, where a walk over the stack ends.
    void **top = reinterpret_cast<void **>(f->stack + f->size) - 8;
    memset(top, 0, 8 * sizeof *top);
    memcpy(top + 6, &entry, sizeof entry);
    f->at = top;
#endif
}

// A stack above a page that can't be touched. False: no memory.
static bool fiber_map(fiber *f, unsigned number) {
    void *at = mmap(nullptr, FIBER_PAGE + FIBER_STACK, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return false;
    mprotect(at, FIBER_PAGE, PROT_NONE);
    f->stack = static_cast<char *>(at) + FIBER_PAGE;
    // Stacks that begin at different places of a page: else the same few lines of the cache serve all of them.
    f->size = FIBER_STACK - number % 64 * 64;
    (void)VALGRIND_STACK_REGISTER(f->stack, f->stack + f->size);
    return true;
}

static void fiber_unmap(fiber *f) {
    munmap(f->stack - FIBER_PAGE, FIBER_PAGE + FIBER_STACK);
}

// What a fiber does first when it begins or goes on.
static void fiber_arrive(fiber *self) {
#ifdef SHIM_ASAN
    const void *stack; // of the one that left: how the launching thread's own stack becomes known
    __sanitizer_finish_switch_fiber(self->fake, &stack, &fiber_left->size);
    fiber_left->stack = static_cast<char *>(const_cast<void *>(stack));
#else
    (void)self;
#endif
}

static void fiber_switch(fiber *from, fiber *to) {
    fiber_left = from;
#ifdef SHIM_ASAN
    __sanitizer_start_switch_fiber(&from->fake, to->stack, to->size);
#endif
#ifdef SHIM_UCONTEXT
    swapcontext(&from->at, &to->at);
#else
    shim_swap(&from->at, to->at);
#endif
    fiber_arrive(from);
}

#endif
