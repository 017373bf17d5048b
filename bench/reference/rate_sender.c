/*
 * How punctual a sender can be on this machine: it spins on the clock, a whole core, and sends lines at a fixed rate over connections that
 * it holds, one after the other.
 *
 *   rate_sender <ip> <port> <connections> <lines per second> <seconds>
 *
 * Prints one line of JSON: lines sent, CPU seconds (getrusage), seconds, and how late the lines were sent and how long after their instant
 * the replies came: 50th, 90th and 99th percentile, in µs. Each line is expected to be answered with one line. Ends with the process that
 * started it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LINE "PING\r\n"
#define READ_SIZE 4096
#define EVENTS 256
#define MAX_LINES 20000000
/* After the last line: replies that are on their way. */
#define LAST_REPLIES_S 1.0

/* A connection, and the instants of the lines that are not answered yet: a ring. */
struct connection {
  int fd;
  uint32_t sent, answered;
  double due[64];
};

static void die(const char *what) {
  perror(what);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double cpu_seconds(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static int connect_to(const struct sockaddr_in *server) {
  int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  if (connect(fd, (const struct sockaddr *)server, sizeof *server) < 0) die("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

/* Takes the replies in that one read brings; returns how many there were. */
static long take(struct connection *from, float *took_us, long count) {
  static char in[READ_SIZE];
  ssize_t got = recv(from->fd, in, sizeof in, MSG_DONTWAIT);
  double at = now();
  long before = count;
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) die("the server closed a connection");
  for (ssize_t i = 0; i < got; i++)
    if (in[i] == '\n' && from->answered != from->sent) took_us[count++] = (float)((at - from->due[from->answered++ % 64]) * 1e6);
  return count - before;
}

static int by_value(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static void print_percentiles(const char *name, float *values, long count) {
  qsort(values, (size_t)count, sizeof *values, by_value);
  printf(", \"%s\": [", name);
  for (int i = 0; i < 3; i++) {
    long at = (long)((double)count * (i == 0 ? 0.5 : i == 1 ? 0.9 : 0.99));
    printf("%s%.1f", i ? ", " : "", count == 0 ? 0.0 : (double)values[at < count ? at : count - 1]);
  }
  printf("]");
}

int main(int argc, char **argv) {
  struct sockaddr_in server = {.sin_family = AF_INET};
  struct rlimit files;
  int connections = argc == 6 ? atoi(argv[3]) : 0;
  double rate = argc == 6 ? atof(argv[4]) : 0, seconds = argc == 6 ? atof(argv[5]) : 0;
  long lines = (long)(rate * seconds), sent = 0, answered = 0;
  if (connections < 1 || lines < 1 || lines > MAX_LINES || inet_pton(AF_INET, argv[1], &server.sin_addr) != 1) {
    fputs("usage: rate_sender <ip> <port> <connections> <lines per second> <seconds>\n", stderr);
    return 2;
  }
  server.sin_port = htons((uint16_t)atoi(argv[2]));
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  struct connection *all = calloc((size_t)connections, sizeof *all);
  float *late_us = calloc((size_t)lines, sizeof *late_us), *took_us = calloc((size_t)lines, sizeof *took_us);
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (!all || !late_us || !took_us || epoll < 0) die("start");
  for (int i = 0; i < connections; i++) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
    all[i].fd = connect_to(&server);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &event) < 0) die("epoll_ctl");
  }
  double start = now() + 0.1, cpu = cpu_seconds();
  for (double end = start + seconds + LAST_REPLIES_S; answered < lines && now() < end;) {
    struct epoll_event events[EVENTS];
    while (sent < lines) {
      double due = start + (double)(sent + 1) / rate, at = now();
      struct connection *to = &all[sent % connections];
      if (at < due) break;
      if (to->sent - to->answered == 64) die("64 lines of a connection are not answered");
      to->due[to->sent++ % 64] = due;
      if (send(to->fd, LINE, sizeof LINE - 1, MSG_NOSIGNAL) != (ssize_t)(sizeof LINE - 1)) die("send");
      late_us[sent++] = (float)((at - due) * 1e6);
    }
    int ready = epoll_wait(epoll, events, EVENTS, 0);
    for (int i = 0; i < ready; i++) answered += take(events[i].data.ptr, took_us, answered);
  }
  printf("{\"sent\": %ld, \"answered\": %ld, \"cpu_s\": %.6f, \"wall_s\": %.6f", sent, answered, cpu_seconds() - cpu, now() - start);
  print_percentiles("late_us", late_us, sent);
  print_percentiles("took_us", took_us, answered);
  puts("}");
  return 0;
}
