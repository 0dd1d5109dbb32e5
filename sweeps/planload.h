/* The version of the canonical text, for its writer and its reader. */
#ifndef SKY_SWEEPS_PLANLOAD_H
#define SKY_SWEEPS_PLANLOAD_H

enum { SKY__PLAN_FORMAT = 1 };

#endif
