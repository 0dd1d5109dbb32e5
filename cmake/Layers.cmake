# The layer of each module. A module may use modules of a lower layer only; sky_module() rejects any
# other edge at configure time, and tests/layering_test.cmake checks the #include lines.
set(SKY_LAYER_base 0)
set(SKY_LAYER_wire 1)
set(SKY_LAYER_front 1)
set(SKY_LAYER_hw 1)
set(SKY_LAYER_he 1) # jobs/he: a library of the folder jobs/
set(SKY_LAYER_sweeps 2)
set(SKY_LAYER_store 2)
set(SKY_LAYER_jobs 2)
set(SKY_LAYER_worker 3)
set(SKY_LAYER_coordinator 3)
set(SKY_LAYER_dash 3)
set(SKY_LAYER_cli 4)
set(SKY_MODULES base wire front hw sweeps store jobs worker coordinator dash cli)
