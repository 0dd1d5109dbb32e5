/* Criterion 2.4 compares texts as char *, ours are const: STR(text) is for its eq(str, ...) only.
 */
#ifndef SKY_TESTS_BASE_STR_H
#define SKY_TESTS_BASE_STR_H

#include <stdint.h>

#define STR(text) ((char *)(uintptr_t)(text))

#endif
