use super::*;

fn refusal(bytes: &[u8]) -> String {
    load(bytes).map(|_| ()).unwrap_err()
}

#[test]
fn reads_dictionaries_numbers_and_text() {
    let pickle = load(b"\x80\x02}q\x00(X\x01\x00\x00\x00aK\x05U\x01bJ\xff\xff\xff\xffX\x01\x00\x00\x00c\x8a\x02\x00\x80u.tail")
        .unwrap();
    assert_eq!(pickle.length, 34);
    let Node::Dict(pairs) = &pickle.nodes[0] else { panic!("no dictionary") };
    let numbers: Vec<i64> =
        pairs.iter().map(|(_, v)| if let Value::Int(n) = v { *n } else { panic!("no number") }).collect();
    assert_eq!(numbers, [5, -1, -32768]);
}

#[test]
fn refuses_every_name_it_does_not_know() {
    assert_eq!(refusal(b"\x80\x02cposix\nsystem\n(U\x04evilttR."), "posix.system is not a tensor");
    assert!(refusal(b"\x80\x02cbuiltins\neval\n.").contains("builtins.eval"));
    assert!(
        refusal(b"\x80\x02ctorch.nn.modules.container\nSequential\n.").contains("Sequential is not a tensor")
    );
    assert!(refusal(b"\x80\x02ctorch\nload\n.").contains("torch.load"));
}

#[test]
fn refuses_calls_of_what_is_no_function() {
    assert!(refusal(b"\x80\x02ctorch\nFloatStorage\n)R.").contains("makes no tensor"));
    assert!(refusal(b"\x80\x02K\x01)R.").contains("makes no tensor"));
    assert!(refusal(b"\x80\x02K\x01K\x02R.").contains("lacks a tuple"));
}

#[test]
fn refuses_broken_stacks() {
    for bytes in [
        &b""[..],
        b"\x80",
        b"\x80\x04.",
        b".",
        b"t.",
        b"(.",
        b"K",
        b"X\xff\xff\xff\xffa",
        b"q\x00.",
        b"h\x07.",
        b"]K\x01s.",
        b"}K\x01a.",
        b"}(K\x01u.",
        b")K\x01b.",
        b"K\x01Q.",
        b"\x8a\xff.",
        b"c\n",
        b"\x00.",
        b"K\x01(0.",
        b"K\x01(\x85.",
    ] {
        assert!(load(bytes).is_err(), "{bytes:?} was accepted");
    }
}

#[test]
fn bounds_depth() {
    assert!(refusal(&[b'('; 100_000]).contains("beyond all sense"));
    assert!(refusal(&[b'}'; 100_000]).contains("beyond all sense"));
}

#[test]
fn old_parameters_take_their_tensor_from_the_state() {
    let pickle = load(
        b"\x80\x02ctorch.nn.parameter\nParameter\n)\x81ctorch._utils\n_rebuild_tensor\n(K\x01K\x02tRNN\x87b.",
    )
    .unwrap();
    let Value::Node(root) = pickle.root else { panic!("no node") };
    let Node::Parameter(Value::Node(tensor)) = pickle.nodes[root] else { panic!("no parameter") };
    assert!(matches!(pickle.nodes[tensor], Node::Tensor(_)));
}
