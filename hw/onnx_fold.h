/* Constants of ONNX graphs. Only for hw/'s onnx_ files. */
#ifndef SKY_HW_ONNX_FOLD_H
#define SKY_HW_ONNX_FOLD_H

#include "hw/onnx_internal.h"

/* A tensor of the file; origin is its value's index for an initializer, else -1. SKY_ELIMIT, SKY_EFORMAT: a
 * shape out of range; SKY_ENOMEM. */
sky_err sky__onnx_tensor_value(sky__onnx *g, const SkyOnnx__Tensor *t, int32_t origin,
                               sky__onnx_value *out);

#endif
