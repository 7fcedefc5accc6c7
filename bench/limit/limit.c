/*
 * The least that saving a set of files durably and all or nothing can cost: one write of the payload to a log that is
 * there already, one flush, then for each file a new one, a link of the old one, and a rename over it. No bookkeeping,
 * no recovery: a floor, not a contender.
 *
 *   limit <directory> <files> <bytes a file>
 *
 * For each byte on the standard input it saves once and answers with a line: the nanoseconds that took. What a store does
 * off the path of a save (unlinking the old files) is done after the answer.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { log_bytes = 64 * 1024 * 1024, page_bytes = 4096, name_bytes = 64 };

static void must(int ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "limit: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void write_fully(int descriptor, const char *bytes, size_t length, const char *what) {
  while (length > 0) {
    ssize_t written = write(descriptor, bytes, length);
    must(written > 0, what);
    bytes += written;
    length -= (size_t)written;
  }
}

static int flush_data(int descriptor) {
#ifdef __APPLE__
  return fcntl(descriptor, F_FULLFSYNC);
#else
  return fdatasync(descriptor);
#endif
}

static uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Written, not only allocated: otherwise the first flush of each block has metadata to flush as well. */
static int open_log(const char *zeros) {
  int log = open("log", O_RDWR | O_CREAT | O_TRUNC, 0644);
  must(log >= 0, "open log");
  for (size_t written = 0; written < log_bytes; written += page_bytes) write_fully(log, zeros, page_bytes, "write log");
  must(fsync(log) == 0, "fsync log");
  return log;
}

static void write_file(const char *name, int flags, const char *bytes, size_t length) {
  int file = open(name, O_WRONLY | O_CREAT | flags, 0644);
  must(file >= 0, "open file");
  write_fully(file, bytes, length, "write file");
  must(close(file) == 0, "close file");
}

int main(int count, char **words) {
  if (count != 4) {
    fprintf(stderr, "usage: limit <directory> <files> <bytes a file>\n");
    return 2;
  }
  must(chdir(words[1]) == 0, "chdir");
  size_t files = strtoul(words[2], NULL, 10);
  size_t file_bytes = strtoul(words[3], NULL, 10);
  size_t payload_bytes = files * file_bytes;
  size_t slot_bytes = (payload_bytes + page_bytes - 1) / page_bytes * page_bytes;
  if (files == 0 || file_bytes == 0 || slot_bytes > log_bytes) {
    fprintf(stderr, "limit: between 1 byte and %d\n", log_bytes);
    return 2;
  }
  char *payload = calloc(1, slot_bytes);
  must(payload != NULL, "calloc");
  int log = open_log(payload);
  char target[name_bytes], staged[name_bytes], before[name_bytes];
  for (size_t file = 0; file < files; file++) {
    snprintf(target, sizeof target, "target-%zu", file);
    write_file(target, O_TRUNC, payload, file_bytes);
  }

  off_t at = 0;
  char request;
  for (unsigned char round = 0; read(0, &request, 1) == 1; round++) {
    memset(payload, 'a' + round % 26, payload_bytes);
    uint64_t started = now_ns();
    must(pwrite(log, payload, slot_bytes, at) == (ssize_t)slot_bytes, "pwrite log");
    must(flush_data(log) == 0, "fdatasync log");
    for (size_t file = 0; file < files; file++) {
      snprintf(target, sizeof target, "target-%zu", file);
      snprintf(staged, sizeof staged, "staged-%zu", file);
      snprintf(before, sizeof before, "before-%zu", file);
      write_file(staged, O_EXCL, payload + file * file_bytes, file_bytes);
      must(link(target, before) == 0, "link");
      must(rename(staged, target) == 0, "rename");
    }
    printf("%llu\n", (unsigned long long)(now_ns() - started));
    must(fflush(stdout) == 0, "answer");
    for (size_t file = 0; file < files; file++) {
      snprintf(before, sizeof before, "before-%zu", file);
      must(unlink(before) == 0, "unlink");
    }
    at += (off_t)slot_bytes;
    if (at + (off_t)slot_bytes > log_bytes) at = 0;
  }
  return 0;
}
