;; Answers a segment with half of a UTF-16 pair, written as UTF-8.
(data (i32.const 2048) "\00\00\00\00" "\20\08\00\00" "\01\00\00\00")
(data (i32.const 2080) "\30\08\00\00" "\03\00\00\00")
(data (i32.const 2096) "\ed\a0\80")
(func (export "derive") (param i32) (result i32) (i32.const 2048))
