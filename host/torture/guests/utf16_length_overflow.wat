;; Answers a text whose length in bytes overflows an address.
(;utf16;)
(data (i32.const 2048) "\00\00\00\00" "\20\08\00\00" "\01\00\00\00")
(data (i32.const 2080) "\30\08\00\00" "\ff\ff\ff\ff")
(func (export "derive") (param i32) (result i32) (i32.const 2048))
