/*
 * The physical limit of connecting: one blocking connect after the other, each from a local port that we choose.
 *
 *   connect_client <source ip> <ip> <port> <connections of a step> <steps>
 *
 * Each step is a process that connects its share and keeps it, so that open files suffice and each step meets a fuller range of ports. Prints one
 * line a step: connections, CPU seconds (getrusage: user and system) and seconds. Keeps all until it is ended, then resets
 * them: 60 000 ports in TIME_WAIT would leave none for anybody's connect() on this machine. Ends with the process that started it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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

#define FIRST_PORT 1024
#define LAST_PORT 65535

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

/* Returns 0 when something else has that port: the next one is tried. */
static int connect_from(const struct sockaddr_in *local, const struct sockaddr_in *server, int epoll) {
  int on = 1;
  struct linger reset = {.l_onoff = 1, .l_linger = 0};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (fd < 0) die("socket");
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  if (bind(fd, (const struct sockaddr *)local, sizeof *local) < 0 || connect(fd, (const struct sockaddr *)server, sizeof *server) < 0) {
    if (errno != EADDRINUSE && errno != EADDRNOTAVAIL) die("connect");
    close(fd);
    return 0;
  }
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
  return 1;
}

/* Connects `count` from `port` on; returns the port after the last one. */
static int step(struct sockaddr_in local, int port, int count, const struct sockaddr_in *server) {
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  double start = now(), cpu = cpu_seconds();
  if (epoll < 0) die("epoll_create1");
  for (int made = 0; made < count; port++) {
    if (port > LAST_PORT) {
      fprintf(stderr, "no local port left after %d of %d connections\n", made, count);
      exit(1);
    }
    if (port == ntohs(server->sin_port)) continue; /* it could connect to itself */
    local.sin_port = htons((uint16_t)port);
    made += connect_from(&local, server, epoll);
  }
  printf("%d %.6f %.6f\n", count, cpu_seconds() - cpu, now() - start);
  fflush(stdout);
  return port;
}

int main(int argc, char **argv) {
  struct sockaddr_in local = {.sin_family = AF_INET}, server = {.sin_family = AF_INET};
  struct rlimit files;
  int count = argc == 6 ? atoi(argv[4]) : 0, steps = argc == 6 ? atoi(argv[5]) : 0, port = FIRST_PORT;
  if (count < 1 || steps < 1 || inet_pton(AF_INET, argv[1], &local.sin_addr) != 1 || inet_pton(AF_INET, argv[2], &server.sin_addr) != 1) {
    fputs("usage: connect_client <source ip> <ip> <port> <connections of a step> <steps>\n", stderr);
    return 2;
  }
  server.sin_port = htons((uint16_t)atoi(argv[3]));
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  for (int i = 0; i < steps; i++) {
    int pipe_fds[2];
    pid_t parent = getpid();
    if (pipe2(pipe_fds, O_CLOEXEC) < 0) die("pipe");
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent) return 1;
      close(pipe_fds[0]);
      port = step(local, port, count, &server);
      if (write(pipe_fds[1], &port, sizeof port) != (ssize_t)sizeof port) die("write");
      for (;;) pause();
    }
    close(pipe_fds[1]);
    if (read(pipe_fds[0], &port, sizeof port) != (ssize_t)sizeof port) return 1; /* the step has said why */
    close(pipe_fds[0]);
  }
  for (;;) pause();
}
