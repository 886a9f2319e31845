;; Answers neither with a name nor with a denial.
(data (i32.const 2048) "\02")
(func (export "derive") (param i32) (result i32) (i32.const 2048))
