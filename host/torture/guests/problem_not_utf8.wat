;; Refuses its settings in no language.
(data (i32.const 2048) "\01\00\00\00" "\20\08\00\00" "\01\00\00\00")
(data (i32.const 2080) "\30\08\00\00" "\01\00\00\00" "\30\08\00\00" "\01\00\00\00")
(data (i32.const 2096) "\ff")
(func (export "configure") (param i32 i32) (result i32) (i32.const 2048))
