/* Small ONNX models from a text, for tests: an encoder of its own, so that no decoder tests itself.
 *
 *     input x 1 3 8 8            a float input; a word instead of a number is an open dimension
 *     tokens ids N 16            an int64 input
 *     weight w 16 3 3 3          a float initializer without data
 *     ints shape 2 -1 3          an int64 initializer with data: a list
 *     int one 1                  the same, a scalar
 *     Conv x w -> y, kernel_shape 3 3, group 1, auto_pad "VALID"
 *     output y
 *
 * One statement a line. An attribute of one number is an int, of several (or with a comma before the next one
 * and a trailing ;) a list: "axes 1;" is a list of one. A node's name is that of its first output. */
#ifndef SKY_TESTS_ONNX_TEXT_H
#define SKY_TESTS_ONNX_TEXT_H

#include "base/buf.h"

/* Appends the encoded model. Aborts on a text that makes no sense. */
void onnx_from_text(const char *text, sky_buf *out);

#endif
