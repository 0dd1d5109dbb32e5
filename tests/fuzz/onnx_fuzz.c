/* The reader of ONNX files: any bytes are refused, or give a network that the models can count on. */
#include <stdint.h>

#include "hw/onnx.h"
#include "network_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    sky_arena arena = {0};
    sky_network net;
    sky_error e = {0};
    const sky_err err = sky_onnx_parse("fuzz.onnx", data, len, "H=8", &arena, &net, &e);
    check_error(err, &e);
    if (err == SKY_OK)
        check_network(&net);
    sky_arena_free(&arena);
    return 0;
}
