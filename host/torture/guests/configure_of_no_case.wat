;; Neither takes nor refuses its settings.
(data (i32.const 2048) "\ff")
(func (export "configure") (param i32 i32) (result i32) (i32.const 2048))
