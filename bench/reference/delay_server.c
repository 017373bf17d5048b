/*
 * A server whose answers take a known time, to compare what a generator says about it with what is true.
 *
 *   delay_server <delay us> [<stall ms> <period ms>]      listens on a free port of 127.0.0.1, prints it as its first line
 *
 * Answers each line (it counts LFs) with `+PONGPONG\r\n`, `delay` after it was read. With a stall it answers nothing in the first `stall` ms of
 * each `period`, from the first line on: what is due meanwhile goes out at the end of the stall. On SIGUSR1 it prints how many lines it has
 * answered since it started. One thread; it sleeps in ppoll, with a timer slack of 1 ns. Ends with the process that started it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REPLY "+PONGPONG\r\n"
#define READ_SIZE 16384
#define EVENTS 256
#define WAITING (1u << 20)

struct answer {
  int64_t due_ns;
  int fd;
};

/* A ring: answers are due in the order in which their lines came. */
static struct answer waiting[WAITING];
static uint32_t first, last;
static int64_t delay_ns, stall_ns, period_ns, start_ns;
static volatile sig_atomic_t asked;

static void on_usr1(int signal) {
  (void)signal;
  asked = 1;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int64_t due_of(int64_t at) {
  int64_t due = at + delay_ns;
  if (start_ns == 0) start_ns = at;
  if (period_ns > 0) {
    int64_t into = (due - start_ns) % period_ns;
    if (into < stall_ns) due += stall_ns - into;
  }
  return due;
}

static void take(int fd) {
  static char in[READ_SIZE];
  ssize_t got = recv(fd, in, sizeof in, MSG_DONTWAIT);
  int64_t at = now();
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
    /* its answers find nobody */
    for (uint32_t i = first; i != last; i++)
      if (waiting[i % WAITING].fd == fd) waiting[i % WAITING].fd = -1;
    close(fd);
    return;
  }
  for (ssize_t i = 0; i < got; i++) {
    if (in[i] != '\n') continue;
    if (last - first == WAITING) die("too many answers wait");
    waiting[last++ % WAITING] = (struct answer){.due_ns = due_of(at), .fd = fd};
  }
}

int main(int argc, char **argv) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  struct rlimit files;
  uint64_t answered = 0;
  int on = 1, epoll = epoll_create1(EPOLL_CLOEXEC), listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
  if (argc != 2 && argc != 4) {
    fputs("usage: delay_server <delay us> [<stall ms> <period ms>]\n", stderr);
    return 2;
  }
  delay_ns = atoll(argv[1]) * 1000;
  if (argc == 4) stall_ns = atoll(argv[2]) * 1000000, period_ns = atoll(argv[3]) * 1000000;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_TIMERSLACK, 1);
  signal(SIGUSR1, on_usr1);
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  if (epoll < 0 || listener < 0) die("start");
  setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 4096) < 0) die("listen");
  if (getsockname(listener, (struct sockaddr *)&address, &size) < 0) die("getsockname");
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0) die("epoll_ctl");
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  for (;;) {
    struct epoll_event events[EVENTS];
    struct pollfd poll = {.fd = epoll, .events = POLLIN};
    int64_t at = now();
    for (; first != last && waiting[first % WAITING].due_ns <= at; first++) {
      int fd = waiting[first % WAITING].fd;
      if (fd >= 0 && send(fd, REPLY, sizeof REPLY - 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0) answered++;
    }
    if (asked) {
      asked = 0;
      printf("%" PRIu64 "\n", answered);
      fflush(stdout);
    }
    int64_t left = first == last ? 1000000000 : waiting[first % WAITING].due_ns - now();
    if (left > 0) {
      struct timespec timeout = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
      ppoll(&poll, 1, &timeout, NULL);
    }
    int ready = epoll_wait(epoll, events, EVENTS, 0);
    for (int i = 0; i < ready; i++) {
      if (events[i].data.fd != listener) take(events[i].data.fd);
      else {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct epoll_event client = {.events = EPOLLIN, .data.fd = fd};
        if (fd >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &client) < 0) die("epoll_ctl");
      }
    }
  }
}
