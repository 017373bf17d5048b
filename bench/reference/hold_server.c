/*
 * The leanest server that holds a crowd: answers the line `heartbeat\r\n` with itself; whatever else comes is a protocol error and closes the connection.
 *
 *   hold_server <processes> <own|shared> [ms of a round, default 0: none]
 *
 * own: each process listens on a port of its own; shared: all accept from the same one, each until it is full. Listens on 127.0.0.1 and prints
 * its ports as its first line, a space between. On SIGUSR1 it prints, over all processes: open answered accepted errors.
 *
 * With rounds all processes look for work at the same instants and sleep in between: on a machine that the client shares, a wake-up for each message would
 * take from the client what it is measured with. The time a request waits is in the client's latency.
 *
 * A process is one thread and one epoll; a connection is a descriptor and one byte (how much of the line has come). A full process leaves
 * further connections in the backlog. Ends, with all its processes, when one of them or the process that started it ends.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LINE "heartbeat\r\n"
#define LINE_SIZE (sizeof LINE - 1)
#define READ_SIZE 4096
#define EVENTS 1024
#define MAX_PROCESSES 128
#define MAX_FILES (1 << 20)
#define MAX_OPEN 19500 /* connections of a process: 20 000 files on the machine that the goals are for */
#define BACKLOG (1 << 16) /* the kernel takes net.core.somaxconn when that is less */

/* One writer each, the parent reads: a cache line of its own, in memory that all share. */
struct counters {
  _Alignas(64) uint64_t closed, answered, accepted, errors;
};

static struct counters *counters; /* of all processes */
static struct counters *mine;
static int epoll, listener, is_accepting;
static uint64_t round_ns;
static uint8_t come[MAX_FILES]; /* bytes of the line that have come, by descriptor */

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void add(uint64_t *counter, uint64_t n) { __atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED); }

static void end_with(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) exit(1); /* it ended before the line above */
}

static int listen_on_any(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (fd < 0) die("socket");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* what it accepts inherits it */
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
  if (listen(fd, BACKLOG) < 0) die("listen");
  return fd;
}

static int port_of(int fd) {
  struct sockaddr_in address;
  socklen_t size = sizeof address;
  if (getsockname(fd, (struct sockaddr *)&address, &size) < 0) die("getsockname");
  return ntohs(address.sin_port);
}

static void accept_when(int wanted) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.fd = listener};
  if (wanted == is_accepting) return;
  if (epoll_ctl(epoll, wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listener, &event) < 0) die("epoll_ctl");
  is_accepting = wanted;
}

static void accept_all(void) {
  while (mine->accepted - mine->closed < MAX_OPEN) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (fd < 0) {
      if (errno == EAGAIN) return;
      if (errno == ECONNABORTED || errno == EINTR) continue;
      die("accept"); /* out of files: a bench that went on would lie */
    }
    if (fd >= MAX_FILES) die("descriptor too large");
    come[fd] = 0;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
    add(&mine->accepted, 1);
  }
  accept_when(0);
}

static void drop(int fd, int is_error) {
  close(fd);
  add(&mine->closed, 1);
  if (is_error) add(&mine->errors, 1);
  accept_when(1);
}

/* Answers what one read brings; level-triggered, so more comes with the next event. */
static void serve(int fd) {
  static char in[READ_SIZE], out[READ_SIZE + LINE_SIZE];
  ssize_t got = read(fd, in, sizeof in);
  size_t lines = 0;
  if (got <= 0) {
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    drop(fd, got < 0 || come[fd] > 0); /* a reset, or the end in the middle of a line */
    return;
  }
  for (char *at = in, *end = in + got; at < end;) {
    size_t part = LINE_SIZE - come[fd];
    if (part > (size_t)(end - at)) part = (size_t)(end - at);
    if (memcmp(at, LINE + come[fd], part) != 0) {
      drop(fd, 1);
      return;
    }
    at += part;
    come[fd] += part;
    if (come[fd] < LINE_SIZE) break;
    come[fd] = 0;
    memcpy(out + lines++ * LINE_SIZE, LINE, LINE_SIZE);
  }
  if (lines == 0) return;
  if (send(fd, out, lines * LINE_SIZE, MSG_NOSIGNAL) == (ssize_t)(lines * LINE_SIZE)) add(&mine->answered, lines);
  else drop(fd, 1);
}

/* To the next multiple of the round's length. */
static void sleep_out_the_round(void) {
  struct timespec at;
  uint64_t ns;
  clock_gettime(CLOCK_MONOTONIC, &at);
  ns = ((uint64_t)at.tv_sec * 1000000000 + (uint64_t)at.tv_nsec) / round_ns * round_ns + round_ns;
  at.tv_sec = (time_t)(ns / 1000000000);
  at.tv_nsec = (long)(ns % 1000000000);
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static void hold(void) {
  static struct epoll_event events[EVENTS];
  if ((epoll = epoll_create1(EPOLL_CLOEXEC)) < 0) die("epoll_create1");
  accept_when(1);
  for (;;) {
    int ready = epoll_wait(epoll, events, EVENTS, -1);
    if (ready < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < ready; i++) {
      if (events[i].data.fd == listener) accept_all();
      else serve(events[i].data.fd);
    }
    if (round_ns > 0) sleep_out_the_round();
  }
}

static void print_totals(int processes) {
  uint64_t closed = 0, answered = 0, accepted = 0, errors = 0;
  for (int i = 0; i < processes; i++) {
    closed += __atomic_load_n(&counters[i].closed, __ATOMIC_RELAXED);
    answered += __atomic_load_n(&counters[i].answered, __ATOMIC_RELAXED);
    accepted += __atomic_load_n(&counters[i].accepted, __ATOMIC_RELAXED);
    errors += __atomic_load_n(&counters[i].errors, __ATOMIC_RELAXED);
  }
  printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", accepted - closed, answered, accepted, errors);
  fflush(stdout);
}

int main(int argc, char **argv) {
  int processes = argc >= 3 ? atoi(argv[1]) : 0, is_shared = argc >= 3 && strcmp(argv[2], "shared") == 0;
  int listeners[MAX_PROCESSES], signal;
  pid_t parent = getpid();
  struct rlimit files;
  sigset_t signals;
  round_ns = argc >= 4 ? (uint64_t)atoi(argv[3]) * 1000000 : 0;
  if (processes < 1 || processes > MAX_PROCESSES || (!is_shared && strcmp(argv[2], "own") != 0)) {
    fputs("usage: hold_server <processes> <own|shared> [ms of a round]\n", stderr);
    return 2;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  counters = mmap(NULL, sizeof *counters * MAX_PROCESSES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (counters == MAP_FAILED) die("mmap");
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR1);
  sigaddset(&signals, SIGCHLD);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  for (int i = 0; i < processes; i++) listeners[i] = is_shared && i > 0 ? listeners[0] : listen_on_any();
  for (int i = 0; i < processes; i++) {
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child > 0) continue;
    end_with(parent);
    listener = listeners[i];
    mine = &counters[i];
    for (int j = 0; j < processes; j++)
      if (listeners[j] != listener) close(listeners[j]);
    hold();
  }
  for (int i = 0; i < (is_shared ? 1 : processes); i++) printf("%s%d", i > 0 ? " " : "", port_of(listeners[i]));
  printf("\n");
  fflush(stdout);
  for (;;) {
    if (sigwait(&signals, &signal) != 0) continue;
    if (signal == SIGUSR1) print_totals(processes);
    else return 1; /* a process ended: it has said why */
  }
}
