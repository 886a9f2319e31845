;; Answers a segment that reaches behind its memory.
(data (i32.const 2048) "\00\00\00\00" "\20\08\00\00" "\01\00\00\00")
(data (i32.const 2080) "\f0\ff\00\00" "\20\00\00\00")
(func (export "derive") (param i32) (result i32) (i32.const 2048))
