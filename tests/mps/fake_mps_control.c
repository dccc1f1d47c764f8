// SPDX-License-Identifier: Apache-2.0
// fake_mps_control.c: nvidia-cuda-mps-control of a machine without a GPU: the same command language, the same files and
// process names, so that whoever drives the real program can be tested.
//
//   -d                 starts a daemon for CUDA_MPS_PIPE_DIRECTORY
//   -d -S              one with static SM partitions (from version 13010 on)
//   -v                 prints the version
//   no argument        commands from standard input, one a line:
//     get_server_list | get_server_status PID | get_client_list PID | ps | start_server -uid UID | shutdown_server PID |
//     terminate_client SERVER CLIENT | set_default_active_thread_percentage P |
//     set_default_device_pinned_mem_limit DEVICE VALUE | quit |
//     sm_partition add UUID CHUNKS | sm_partition rm UUID ID | lspart
//
// All state lies in the pipe folder: nvidia-cuda-mps-control.pid, server (its process id), fault (present: the server is in
// state FAULT). A client is a file client.PID: a test's trial makes one for itself where a CUDA program would connect; the
// server starts with the first. A client whose process is gone is forgotten. A server in FAULT is ACTIVE again when it has
// none left of those before the fault.
//
// FAKE_MPS, a list of words: nostart (the daemon ends at once), hang (commands never answer), hangstart (-d never
// returns), garbage (answers are no numbers), fault (each server is in FAULT), unlisted (clients are not shown),
// noterm (terminate_client answers 1 and leaves the client), slowterm (terminate_client never answers), deaf (quit is
// answered and not obeyed), busy=K (from the server's start on K runs of this program fail as they do while the daemon starts
// it; file busy holds how many have, and without it they fail anew).
//
// Static SM partitions: file parted is there if the daemon has them; part.I is one (its chunks), whose id is ID_BEGIN and I, so that an
// id is used again when it is free. A client is in one if client.PID holds CUDA_MPS_SM_PARTITION. 15 chunks of 8 multiprocessors on a GPU
// that has 132. FAKE_MPS_PARTS, a file: a line for each add and rm that was obeyed and each add that was refused, with the chunks in use then.
//
// Further words: version=N (13000 if it is not said), chunks=N, nostatic (-S ends at once), notable (lspart's answer is no table),
// nopart (add is refused), keeppart (rm is refused), lostpart (add makes one and never answers), plainid (add answers with the id alone),
// dashes (lspart has all its fields), sick (add, rm and lspart fail)
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *folder;

static bool scripted(const char *word) {
    const char *p = getenv("FAKE_MPS");
    const size_t n = strlen(word);
    for (; p && (p = strstr(p, word)); p += n)
        if (!isalpha((unsigned char)p[n])) return true;
    return false;
}

// The number after a word that ends with '='.
static int number(const char *word, int otherwise) {
    const char *p = getenv("FAKE_MPS");
    p = p ? strstr(p, word) : NULL;
    return p ? atoi(p + strlen(word)) : otherwise;
}

static void hang(void) {
    for (;;) pause();
}

static void path_of(char out[512], const char *name) {
    (void)snprintf(out, 512, "%s/%s", folder, name);
}

// A process id that a file holds; 0: there is none, or that process is gone.
static pid_t read_pid(const char *name) {
    char path[512];
    int pid = 0;
    path_of(path, name);
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    if (fscanf(f, "%d", &pid) != 1) pid = 0;
    (void)fclose(f);
    return pid > 0 && kill(pid, 0) == 0 ? pid : 0;
}

static void write_pid(const char *name, pid_t pid) {
    char path[512];
    path_of(path, name);
    FILE *f = fopen(path, "w");
    if (!f) return;
    (void)fprintf(f, "%d\n", (int)pid);
    (void)fclose(f);
}

static void forget(const char *name) {
    char path[512];
    path_of(path, name);
    (void)unlink(path);
}

static bool exists(const char *name) {
    char path[512];
    path_of(path, name);
    return access(path, F_OK) == 0;
}

static bool has_ended(pid_t pid) { // also one that nobody has waited for yet
    char path[64], state = 'Z';
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%*d (%*[^)]) %c", &state) != 1) state = '?';
    if (f) (void)fclose(f);
    return state == 'Z' || state == 'X';
}

// Calls f for each client that lives; how many there are.
static int each_client(void (*f)(pid_t)) {
    int n = 0;
    DIR *d = opendir(folder);
    for (const struct dirent *e; d && (e = readdir(d));) {
        if (strncmp(e->d_name, "client.", 7) != 0) continue;
        const pid_t pid = (pid_t)atoi(e->d_name + 7);
        if (pid <= 0 || has_ended(pid)) {
            forget(e->d_name);
            continue;
        }
        n++;
        if (f) f(pid);
    }
    if (d) (void)closedir(d);
    return n;
}

static pid_t spawn_server(void) {
    char daemon_text[24];
    (void)snprintf(daemon_text, sizeof daemon_text, "%d", (int)read_pid("nvidia-cuda-mps-control.pid"));
    const pid_t pid = fork();
    if (pid == 0) {
        const int null_fd = open("/dev/null", O_RDWR);
        for (int k = 0; k < 3; k++) (void)dup2(null_fd, k);
        (void)setsid();
        (void)execl("/proc/self/exe", "nvidia-cuda-mps-server", daemon_text, (char *)NULL);
        _exit(127);
    }
    write_pid("server", pid);
    return pid;
}

// The server, started if there are clients to serve; 0: none.
static pid_t server(void) {
    const pid_t pid = read_pid("server");
    if (pid > 0) return pid;
    return each_client(NULL) > 0 ? spawn_server() : 0;
}

static struct timespec written(const char *name) {
    char path[512];
    struct stat st = {0};
    path_of(path, name);
    (void)stat(path, &st);
    return st.st_mtim;
}

static bool is_older(struct timespec a, struct timespec b) {
    return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec <= b.tv_nsec;
}

static bool any_affected;

static void look_whether_affected(pid_t pid) {
    char name[64];
    (void)snprintf(name, sizeof name, "client.%d", (int)pid);
    any_affected = any_affected || is_older(written(name), written("fault"));
}

// A fault lasts until all that were clients at it are gone.
static bool is_in_fault(void) {
    if (!exists("fault")) return false;
    any_affected = false;
    (void)each_client(look_whether_affected);
    if (!any_affected) forget("fault");
    return any_affected;
}

static void print_pid(pid_t pid) {
    printf("%d\n", (int)pid);
}

// Leaves a file seen.PID, by which a test's trial knows that it was looked for.
static void print_client(pid_t pid) {
    char name[64];
    (void)snprintf(name, sizeof name, "seen.%d", (int)pid);
    print_pid(pid);
    write_pid(name, pid);
}

static void print_row(pid_t pid) {
    const char *device = getenv("CUDA_VISIBLE_DEVICES");
    printf("%d 0 %d %s 4026531836 ./train\n", (int)pid, (int)server(), device ? device : "GPU-0");
}

static void quit(void) {
    if (scripted("deaf")) return;
    const pid_t pid = read_pid("nvidia-cuda-mps-control.pid"), s = read_pid("server");
    if (s > 0) (void)kill(s, SIGTERM);
    if (pid > 0) (void)kill(pid, SIGTERM);
    forget("nvidia-cuda-mps-control.pid");
    forget("server");
}

// FAKE_MPS_LOG: a file with a line for each terminate_client, and whether the client lived then.
static void note_end(pid_t pid) {
    const char *path = getenv("FAKE_MPS_LOG");
    FILE *f = path ? fopen(path, "a") : NULL;
    if (!f) return;
    (void)fprintf(f, "terminate_client %d %s\n", (int)pid, kill(pid, 0) == 0 ? "alive" : "dead");
    (void)fclose(f);
}

// ---- static SM partitions

static const char ID_BEGIN[] = "D/79e/Dgw";
enum { PARTS = 64, SMS = 132 };

static int chunks_of(int i) {
    char name[32], path[512];
    int n = 0;
    (void)snprintf(name, sizeof name, "part.%d", i);
    path_of(path, name);
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%d", &n) != 1) n = 0;
    if (f) (void)fclose(f);
    return n;
}

static int chunks_used(void) {
    int n = 0;
    for (int i = 0; i < PARTS; i++) n += chunks_of(i);
    return n;
}

static int asked_part;
static bool is_asked_in_use;

static void look_for_part(pid_t pid) {
    char name[64], path[512], text[128] = "", id[64];
    (void)snprintf(name, sizeof name, "client.%d", (int)pid);
    (void)snprintf(id, sizeof id, "/%s%02d", ID_BEGIN, asked_part);
    path_of(path, name);
    FILE *f = fopen(path, "r");
    if (f && fgets(text, sizeof text, f) && strstr(text, id)) is_asked_in_use = true;
    if (f) (void)fclose(f);
}

static bool has_clients(int i) {
    asked_part = i;
    is_asked_in_use = false;
    (void)each_client(look_for_part);
    return is_asked_in_use;
}

static void note_parts(const char *what, int i, int chunks) {
    const char *path = getenv("FAKE_MPS_PARTS");
    FILE *f = path ? fopen(path, "a") : NULL;
    if (!f) return;
    (void)fprintf(f, "%s %02d %d of %d\n", what, i, chunks, chunks_used());
    (void)fclose(f);
}

static void add_part(const char *uuid, int chunks) {
    char name[32];
    int i = 0;
    while (i < PARTS && chunks_of(i) > 0) i++;
    if (scripted("nopart") || chunks <= 0 || i == PARTS || chunks > number("chunks=", 15) - chunks_used()) {
        note_parts("refuse", i, chunks);
        printf(
            "Failed to fulfill the requested SM partition of %d chunks, error CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION\n",
            chunks);
        return;
    }
    (void)snprintf(name, sizeof name, "part.%d", i);
    write_pid(name, chunks);
    note_parts("add", i, chunks);
    if (scripted("lostpart")) hang();
    printf(scripted("plainid") ? "%s/%s%02d\n" : "Partition %s/%s%02d created\n", uuid, ID_BEGIN, i);
}

static void remove_part(const char *id) {
    char name[32];
    const size_t n = strlen(ID_BEGIN);
    const int i = strncmp(id, ID_BEGIN, n) == 0 ? atoi(id + n) : -1, chunks = i >= 0 ? chunks_of(i) : 0;
    if (chunks <= 0) {
        printf("Partition %s not found\n", id);
    } else if (scripted("keeppart") || has_clients(i)) {
        printf("Partition %s in use. Terminate all clients before removing.\n", id);
    } else {
        (void)snprintf(name, sizeof name, "part.%d", i);
        forget(name);
        note_parts("rm", i, chunks);
    }
}

static void list_parts(void) {
    const int used = chunks_used();
    const char *dash = scripted("dashes") ? " -" : "";
    if (scripted("notable")) {
        puts("Partitions are not available on this device");
        return;
    }
    puts("GPU Partition free used free used clients\nchunks chunks SM SM");
    printf("GPU-aa%s %d %d %d %d%s\n", dash, number("chunks=", 15) - used, used, SMS - 8 * used, 8 * used, dash);
    for (int i = 0; i < PARTS; i++) {
        const int n = chunks_of(i);
        if (n > 0)
            printf("GPU-aa %s%02d%s %d%s %d %s\n", ID_BEGIN, i, dash, n, dash, 8 * n,
                   has_clients(i) ? "Yes"
                   : *dash        ? "-"
                                  : "No");
    }
}

// True: it was one of theirs.
static bool parts_command(const char *word, const char *a, const char *b, const char *c) {
    const bool lists = strcmp(word, "lspart") == 0;
    if (!lists && strcmp(word, "sm_partition") != 0) return false;
    char path[512];
    path_of(path, "partlock"); // programs of two runs may be at it
    const int fd = open(path, O_RDWR | O_CREAT, 0600);
    if (fd >= 0) (void)flock(fd, LOCK_EX);
    if (!exists("parted"))
        puts("Static partitioning is not enabled");
    else if (scripted("sick"))
        puts("Failed to initialize CUDA");
    else if (lists)
        list_parts();
    else if (a && b && c && strcmp(a, "add") == 0)
        add_part(b, atoi(c));
    else if (a && b && c && strcmp(a, "rm") == 0)
        remove_part(c);
    (void)fflush(stdout);
    if (fd >= 0) (void)close(fd);
    return true;
}

static void command(char *line) {
    char *save = NULL, *word = strtok_r(line, " \t\n", &save);
    char *a = strtok_r(NULL, " \t\n", &save), *b = strtok_r(NULL, " \t\n", &save);
    if (!word) return;
    if (scripted("hang")) hang();
    if (parts_command(word, a, b, strtok_r(NULL, " \t\n", &save))) return;
    if (scripted("garbage")) {
        printf("what do you mean by %s\n", word);
        return;
    }
    const pid_t pid = server(), named = a ? (pid_t)atoi(a) : 0;
    if (strcmp(word, "get_server_list") == 0) {
        if (pid > 0) print_pid(pid);
    } else if (strcmp(word, "get_server_status") == 0 && a) {
        if (named != pid || pid == 0)
            printf("Server %s not found\n", a);
        else
            puts(scripted("fault") || is_in_fault() ? "FAULT" : "ACTIVE");
    } else if (strcmp(word, "get_client_list") == 0 && a) {
        if (named != pid || pid == 0)
            printf("Server %s not found\n", a);
        else if (!scripted("unlisted"))
            (void)each_client(print_client);
    } else if (strcmp(word, "ps") == 0) {
        puts("PID ID SERVER DEVICE NAMESPACE COMMAND");
        (void)each_client(print_row);
    } else if (strcmp(word, "start_server") == 0 && a && strcmp(a, "-uid") == 0 && b) {
        if (pid == 0) (void)spawn_server();
    } else if (strcmp(word, "shutdown_server") == 0 && a) {
        if (named == pid && pid > 0) (void)kill(pid, SIGTERM);
        forget("server");
    } else if (strcmp(word, "terminate_client") == 0 && b) {
        char name[64];
        note_end(atoi(b));
        if (scripted("slowterm")) hang();
        (void)snprintf(name, sizeof name, "client.%d", atoi(b));
        if (scripted("noterm") || named != pid || !exists(name)) {
            puts("1");
            return;
        }
        forget(name);
        puts("0");
    } else if (strcmp(word, "set_default_active_thread_percentage") == 0 && a) {
        printf("%s\n", a);
    } else if (strcmp(word, "set_default_device_pinned_mem_limit") == 0 && b) {
        printf("%s\n", b);
    } else if (strcmp(word, "quit") == 0) {
        quit();
    } else {
        printf("Unknown command: %s\n", word);
    }
}

// Seen with driver 580: 0.3 s after the first client came a command ended so.
static bool is_busy(void) {
    const char *p = getenv("FAKE_MPS");
    const int most = p && (p = strstr(p, "busy=")) ? atoi(p + 5) : 0;
    char path[512];
    int n = 0;
    path_of(path, "busy");
    if (most <= 0 || server() <= 0) return false;
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%d", &n) != 1) n = 0;
    if (f) (void)fclose(f);
    if (n >= most) return false;
    write_pid("busy", n + 1);
    return true;
}

static int start_daemon(bool parted) {
    int ready[2];
    char byte;
    if (scripted("hangstart")) hang();
    if (scripted("nostart")) {
        (void)fprintf(stderr, "Cannot create the control pipe: no such device\n");
        return 1;
    }
    if (parted && (number("version=", 13000) < 13010 || scripted("nostatic"))) {
        (void)fprintf(stderr, "nvidia-cuda-mps-control: invalid option -- 'S'\n");
        return 1;
    }
    if (parted) write_pid("parted", 1);
    if (read_pid("nvidia-cuda-mps-control.pid") > 0) {
        (void)fprintf(stderr, "An instance of this daemon is already running\n");
        return 1;
    }
    if (pipe(ready) < 0) return 1;
    if (fork() > 0) { // returns when the daemon listens, as the real one does
        (void)close(ready[1]);
        return read(ready[0], &byte, 1) == 1 ? 0 : 1;
    }
    const int null_fd = open("/dev/null", O_RDWR);
    for (int k = 0; k < 3; k++) (void)dup2(null_fd, k);
    (void)setsid();
    write_pid("nvidia-cuda-mps-control.pid", getpid());
    if (write(ready[1], "x", 1) != 1) return 1;
    (void)close(ready[0]);
    (void)close(ready[1]);
    hang();
    return 0;
}

// Lives as long as its daemon.
static int serve(pid_t controller) {
    (void)prctl(PR_SET_NAME, "nvidia-cuda-mps-server");
    while (kill(controller, 0) == 0) nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    return 0;
}

int main(int argc, char **argv) {
    char line[512];
    const char *name = strrchr(argv[0], '/');
    folder = getenv("CUDA_MPS_PIPE_DIRECTORY");
    if (!folder) folder = "/tmp/nvidia-mps";
    if (strcmp(name ? name + 1 : argv[0], "nvidia-cuda-mps-server") == 0) return argc > 1 ? serve(atoi(argv[1])) : 1;
    (void)mkdir(folder, 0700);
    if (argc > 1 && strcmp(argv[1], "-v") == 0) {
        printf("CUDA MPS Control for Linux/Unix/QNX. Binary version: %d\n", number("version=", 13000));
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "-d") == 0) return start_daemon(argc > 2 && strcmp(argv[2], "-S") == 0);
    if (read_pid("nvidia-cuda-mps-control.pid") == 0 && !scripted("hang")) {
        puts("Cannot find MPS control daemon process");
        return 1;
    }
    if (is_busy()) {
        puts("Cannot send command to MPS control daemon process");
        return 1;
    }
    while (fgets(line, sizeof line, stdin)) {
        command(line);
        (void)fflush(stdout);
    }
    return 0;
}
