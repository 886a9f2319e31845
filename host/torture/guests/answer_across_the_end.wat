;; Puts its answer where memory ends in the midst of it.
(func (export "derive") (param i32) (result i32) (i32.const 65520))
