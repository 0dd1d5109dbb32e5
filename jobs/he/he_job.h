/* What the descriptors of he_conv and he_network share. Only for these two. */
#ifndef SKY_JOBS_HE_JOB_H
#define SKY_JOBS_HE_JOB_H

#include <string.h>

#include "jobs/jobs_internal.h"

#define HE_TEXT(NAME, DEFAULT, CHOICES, DOC)                                                       \
    {                                                                                              \
        .name = (NAME), .type = SKY_TEXT, .unit = "", .doc = (DOC), .choices = (CHOICES), .def = { \
            .type = SKY_TEXT,                                                                      \
            .s = (DEFAULT)                                                                         \
        }                                                                                          \
    }
#define HE_INTEGER(NAME, UNIT, DEFAULT, MIN, MAX, DOC)                                             \
    {                                                                                              \
        .name = (NAME), .type = SKY_INT, .unit = (UNIT), .doc = (DOC), .min = (MIN), .max = (MAX), \
        .def = {                                                                                   \
            .type = SKY_INT,                                                                       \
            .i = (DEFAULT)                                                                         \
        }                                                                                          \
    }
#define HE_REAL(NAME, UNIT, DEFAULT, MIN, MAX, DOC)                                                \
    {                                                                                              \
        .name = (NAME), .type = SKY_REAL, .unit = (UNIT), .doc = (DOC), .min = (MIN),              \
        .max = (MAX), .def = {                                                                     \
            .type = SKY_REAL,                                                                      \
            .f = (DEFAULT)                                                                         \
        }                                                                                          \
    }
#define HE_BOOL(NAME, DEFAULT, DOC)                                                                \
    {                                                                                              \
        .name = (NAME), .type = SKY_BOOL, .unit = "", .doc = (DOC), .def = {                       \
            .type = SKY_BOOL,                                                                      \
            .i = (DEFAULT)                                                                         \
        }                                                                                          \
    }
#define HE_METRIC(NAME, TYPE, UNIT, GOAL, CLASS, DOC)                                              \
    {                                                                                              \
        .name = (NAME), .type = (TYPE), .unit = (UNIT), .doc = (DOC), .goal = (GOAL),              \
        .cls = (CLASS)                                                                             \
    }

static inline int he_choice(const char *const *list, const char *text)
{
    int i = 0;
    while (list[i + 1] && strcmp(list[i], text) != 0)
        i++;
    return i;
}

#endif
