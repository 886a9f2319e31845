;; Answers a slash in two bytes, as only a careless reader takes it.
(data (i32.const 2048) "\00\00\00\00" "\20\08\00\00" "\01\00\00\00")
(data (i32.const 2080) "\30\08\00\00" "\02\00\00\00")
(data (i32.const 2096) "\c0\af")
(func (export "derive") (param i32) (result i32) (i32.const 2048))
