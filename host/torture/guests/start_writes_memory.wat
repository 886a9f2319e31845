;; Prepares its answer in a start function: nothing is wrong with it.
(data (i32.const 2048) "\00\00\00\00" "\20\08\00\00" "\01\00\00\00")
(data (i32.const 2080) "\30\08\00\00" "\04\00\00\00")
(func $start (i32.store (i32.const 2096) (i32.const 0x646f6f67)))
(start $start)
(func (export "derive") (param i32) (result i32) (i32.const 2048))
