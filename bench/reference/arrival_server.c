/*
 * Says how punctual a generator is, by when its requests come: an HTTP server that answers each with 13 bytes, and writes down the instant.
 *
 *   arrival_server <requests per second>      listens on a free port of 127.0.0.1, prints it as its first line
 *
 * On SIGUSR1 it prints one line of JSON about the requests since the last time: how many, seconds from the first to the last, and how late
 * they came beside a schedule of that rate, in µs, 50th, 90th and 99th percentile. Nobody says when the schedule began: it is laid so that the
 * most punctual request is not late at all. One thread and one epoll. Ends with the process that started it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
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

#define REPLY "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nhello, world\n"
#define READ_SIZE 16384
#define EVENTS 1024
#define MAX_REQUESTS 4000000

static double came[MAX_REQUESTS];
static long count;
static volatile sig_atomic_t asked;

static void on_usr1(int signal) {
  (void)signal;
  asked = 1;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void answer(double per_s) {
  double seconds = count > 0 ? came[count - 1] - came[0] : 0, least = 0;
  for (long n = 0; n < count; n++) {
    came[n] -= (double)n / per_s;
    if (n == 0 || came[n] < least) least = came[n];
  }
  qsort(came, (size_t)count, sizeof *came, by_value);
  printf("{\"count\": %ld, \"seconds\": %.6f, \"late_us\": [", count, seconds);
  for (int i = 0; i < 3; i++) {
    long at = (long)((double)count * (i == 0 ? 0.5 : i == 1 ? 0.9 : 0.99));
    printf("%s%.1f", i ? ", " : "", count == 0 ? 0 : (came[at < count ? at : count - 1] - least) * 1e6);
  }
  puts("]}");
  fflush(stdout);
  count = 0;
}

/* Each empty line ends a request: none of them has a body. */
static void serve(int fd) {
  static char in[READ_SIZE];
  ssize_t got = recv(fd, in, sizeof in, MSG_DONTWAIT);
  double at = now();
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
    close(fd);
    return;
  }
  for (char *next = in, *end = in + (got > 0 ? got : 0); (next = memmem(next, (size_t)(end - next), "\r\n\r\n", 4)) != NULL; next += 4) {
    if (count < MAX_REQUESTS) came[count++] = at;
    if (send(fd, REPLY, sizeof REPLY - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return;
  }
}

int main(int argc, char **argv) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  struct rlimit files;
  double per_s = argc == 2 ? atof(argv[1]) : 0;
  int on = 1, epoll = epoll_create1(EPOLL_CLOEXEC), listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
  if (!(per_s > 0)) {
    fputs("usage: arrival_server <requests per second>\n", stderr);
    return 2;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
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
    int ready = epoll_wait(epoll, events, EVENTS, -1);
    if (asked) {
      asked = 0;
      answer(per_s);
    }
    for (int i = 0; i < ready; i++) {
      if (events[i].data.fd != listener) {
        serve(events[i].data.fd);
        continue;
      }
      int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
      struct epoll_event client = {.events = EPOLLIN, .data.fd = fd};
      if (fd >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &client) < 0) die("epoll_ctl");
    }
  }
}
