/* Moves the wall clock of one program, holds up its fsync, its event loop and its look-ups of names,
 * without its knowledge.
 *
 * The program is started with LD_PRELOAD=this library and FAULTS_CONTROL=a file of four doubles,
 * which the lab writes and this library maps: seconds by which the wall clock is off, seconds that
 * each fsync takes, and seconds that each epoll_wait and each look-up takes besides. With
 * FAULTS_TENANTS=a port, names below lab.test are found: at that port of loopback. The monotonic clocks are left
 * alone, as a step of the wall clock leaves them, so nothing that sleeps notices. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct control { volatile double clock_offset_s, fsync_s, epoll_s, lookup_s; };

static const struct control none = {0, 0, 0, 0};
static const struct control *control = &none;
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_getaddrinfo)(const char *, const char *, const struct addrinfo *,
                               struct addrinfo **);
static int (*real_epoll_wait)(int, struct epoll_event *, int, int);

__attribute__((constructor)) static void begin(void) {
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_getaddrinfo = dlsym(RTLD_NEXT, "getaddrinfo");
    real_epoll_wait = dlsym(RTLD_NEXT, "epoll_wait");
    const char *path = getenv("FAULTS_CONTROL");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *mapped = mmap(NULL, sizeof(struct control), PROT_READ, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED)
        control = mapped;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    int status = real_clock_gettime(clock, at);
    if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        double seconds = at->tv_sec + control->clock_offset_s;
        at->tv_sec = (time_t)seconds;
        at->tv_nsec += (long)((seconds - (double)at->tv_sec) * 1e9);
        if (at->tv_nsec >= 1000000000) {
            at->tv_nsec -= 1000000000;
            at->tv_sec += 1;
        }
    }
    return status;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    (void)zone;
    int status = clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return status;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at)
        *at = now.tv_sec;
    return now.tv_sec;
}

/* Waits as long as the lab says now, so that the lab can end the wait. */
static void hold_up(const volatile double *span_s) {
    for (int waited_ms = 0; waited_ms < *span_s * 1000; waited_ms += 20)
        usleep(20000);
}

int fsync(int file) {
    hold_up(&control->fsync_s);
    return real_fsync(file);
}

int fdatasync(int file) {
    hold_up(&control->fsync_s);
    return real_fdatasync(file);
}

int epoll_wait(int poll, struct epoll_event *events, int count, int timeout_ms) {
    hold_up(&control->epoll_s);
    return real_epoll_wait(poll, events, count, timeout_ms);
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
    static const char ours[] = ".lab.test";
    const char *port = getenv("FAULTS_TENANTS");
    size_t length = host ? strlen(host) : 0, tail = sizeof ours - 1;
    hold_up(&control->lookup_s);
    if (port && length > tail && strcmp(host + length - tail, ours) == 0)
        return real_getaddrinfo("127.0.0.1", port, hints, found);
    return real_getaddrinfo(host, service, hints, found);
}
