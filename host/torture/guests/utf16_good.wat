;; Keeps its strings in UTF-16, as some languages do: nothing is wrong with it.
(;utf16;)
(data (i32.const 2048) "\00\00\00\00" "\20\08\00\00" "\01\00\00\00")
(data (i32.const 2080) "\30\08\00\00" "\04\00\00\00")
(data (i32.const 2096) "g\00o\00o\00d\00")
(func (export "derive") (param i32) (result i32) (i32.const 2048))
