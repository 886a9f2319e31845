;; Finds a million problems with its settings.
(memory (export "memory") 64)
(data (i32.const 2048) "\01\00\00\00" "\00\10\00\00" "\00\00\04\00")
(func (export "configure") (param i32 i32) (result i32) (i32.const 2048))
