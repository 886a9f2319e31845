;; Denies in no language.
(data (i32.const 2048) "\01\00\00\00" "\20\08\00\00" "\01\00\00\00" "\20\08\00\00" "\01\00\00\00")
(data (i32.const 2080) "\ff")
(func (export "derive") (param i32) (result i32) (i32.const 2048))
