;; Answers a good path, and a selector that is no text.
(data (i32.const 2048) "\00\00\00\00" "\28\00\00\00" "\01\00\00\00" "\20\08\00\00" "\01\00\00\00")
(data (i32.const 40) "\30\00\00\00\04\00\00\00good")
(data (i32.const 2080) "\30\08\00\00" "\01\00\00\00")
(data (i32.const 2096) "\ff")
(func (export "derive") (param i32) (result i32) (i32.const 2048))
