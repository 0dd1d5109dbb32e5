/* Entries of a built-in job's list of parameters: name, unit, default, range, what it is. */
#ifndef SKY_JOBS_JOB_PARAMS_H
#define SKY_JOBS_JOB_PARAMS_H

#include "jobs/job.h"

/* CHOICES: a NULL-terminated list, or NULL for any text. */
#define SKY__TEXT(NAME, DEFAULT, CHOICES, DOC)                                                     \
    {                                                                                              \
        .name = (NAME), .type = SKY_TEXT, .unit = "", .doc = (DOC), .choices = (CHOICES), .def = { \
            .type = SKY_TEXT,                                                                      \
            .s = (DEFAULT)                                                                         \
        }                                                                                          \
    }
#define SKY__INTEGER(NAME, UNIT, DEFAULT, MIN, MAX, DOC)                                           \
    {                                                                                              \
        .name = (NAME), .type = SKY_INT, .unit = (UNIT), .doc = (DOC), .min = (MIN), .max = (MAX), \
        .def = {                                                                                   \
            .type = SKY_INT,                                                                       \
            .i = (DEFAULT)                                                                         \
        }                                                                                          \
    }
#define SKY__REAL(NAME, UNIT, DEFAULT, MIN, MAX, DOC)                                              \
    {                                                                                              \
        .name = (NAME), .type = SKY_REAL, .unit = (UNIT), .doc = (DOC), .min = (MIN),              \
        .max = (MAX), .def = {                                                                     \
            .type = SKY_REAL,                                                                      \
            .f = (DEFAULT)                                                                         \
        }                                                                                          \
    }
#define SKY__FLAG(NAME, DEFAULT, DOC)                                                              \
    {                                                                                              \
        .name = (NAME), .type = SKY_BOOL, .unit = "", .doc = (DOC), .def = {                       \
            .type = SKY_BOOL,                                                                      \
            .i = (DEFAULT)                                                                         \
        }                                                                                          \
    }

#endif
