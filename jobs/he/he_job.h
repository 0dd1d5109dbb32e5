/* What the descriptors of he_conv and he_network share. Only for these two. */
#ifndef SKY_JOBS_HE_JOB_H
#define SKY_JOBS_HE_JOB_H

#include <string.h>

#include "jobs/job_params.h"
#include "jobs/jobs_internal.h"

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
