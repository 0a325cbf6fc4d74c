/* What the warden's C tests share: a check that says where it failed, and the frames that the warden sent. */
#ifndef CHECK_H
#define CHECK_H

#include "warden.h"

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                      \
    do {                                                                                      \
        if (!(condition)) {                                                                   \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);     \
            abort();                                                                          \
        }                                                                                     \
    } while (0)

struct seen {
    uint32_t size, kind, id;
    uint8_t data[300 << 10];
};

/* test_frames.c: the host's end of the stream that the warden under test writes to. */
void host_open(void);
void host_forget(void);
bool host_sees(struct seen *frame);
const struct seen *host_expects(uint32_t kind, uint32_t id);
const uint8_t *string_of(const struct seen *frame, size_t offset, uint8_t kind, size_t *size);

char *temporary_folder(void);

void test_frames(void);
void test_filter(void);
void test_process(void);
void test_net(void);
void test_plant(void);
void test_trace(void);
void test_init(void);
void test_main(void);
void test_feign(void);

#endif
