use super::*;

fn disk_with(content: &[u8]) -> (tempfile::TempDir, PathBuf, Disk, Inode) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, content).unwrap();
    let mut disk = Disk::default();
    let inode = disk.find(&path).unwrap().unwrap();
    (folder, path, disk, inode)
}

#[test]
fn what_was_synced_survives_every_cut() {
    for seed in 0..200 {
        let (_folder, path, mut disk, inode) = disk_with(&[1; 2_000]);
        disk.write(inode, 100, &[2; 1_500]);
        disk.truncate(inode, 1_200);
        disk.sync(inode);
        let report = disk.cut(&mut Chance::new(seed)).unwrap();
        assert_eq!(report, CutReport::default());
        let mut expected = vec![1; 100];
        expected.extend([2; 1_100]);
        assert_eq!(fs::read(&path).unwrap(), expected, "seed {seed}");
    }
}

#[test]
fn what_was_not_synced_is_kept_torn_and_lost_by_whole_sectors() {
    let (mut kept, mut torn, mut lost, mut grown) = (0, 0, 0, 0);
    for seed in 0..400 {
        let (_folder, path, mut disk, inode) = disk_with(&[1; 4_096]);
        disk.write(inode, 700, &[2; 2_048]);
        disk.write(inode, 4_096, &[3; 1_024]);
        let report = disk.cut(&mut Chance::new(seed)).unwrap();
        let left = &report.files[0];
        kept += left.kept;
        torn += left.torn;
        lost += left.lost;
        let found = fs::read(&path).unwrap();
        assert!(
            found[..700].iter().all(|byte| *byte == 1),
            "seed {seed}: bytes before the write changed"
        );
        assert!(
            found[2_748..4_096].iter().all(|byte| *byte == 1),
            "seed {seed}: bytes behind the write changed"
        );
        for (number, sector) in found[..4_096].chunks(SECTOR).enumerate() {
            let written: Vec<u8> = sector
                .iter()
                .enumerate()
                .filter(|(at, _)| (700..2_748).contains(&(number * SECTOR + at)))
                .map(|(_, byte)| *byte)
                .collect();
            assert!(
                written.windows(2).all(|pair| pair[0] == pair[1]),
                "seed {seed}: sector {number} is torn inside"
            );
        }
        if found[4_096..].contains(&0) {
            grown += 1;
        }
    }
    assert!(
        kept > 50 && torn > 50 && lost > 50 && grown > 10,
        "{kept} kept, {torn} torn, {lost} lost, {grown} grown"
    );
}

#[test]
fn a_name_is_certain_only_when_its_folder_is_synced() {
    let (mut unmade, mut returned) = (0, 0);
    for seed in 0..100 {
        let (folder, old, mut disk, _) = disk_with(b"old");
        let (loose, firm) = (folder.path().join("loose"), folder.path().join("firm"));
        let inode = disk.make(&firm, true);
        fs::write(&firm, b"").unwrap();
        disk.sync(inode);
        let inode = disk.make(&loose, false);
        fs::write(&loose, b"").unwrap();
        disk.sync(inode);
        fs::remove_file(&old).unwrap();
        disk.remove(&old, false);
        let report = disk.cut(&mut Chance::new(seed)).unwrap();
        assert!(firm.exists(), "seed {seed}");
        unmade += usize::from(!loose.exists());
        returned += usize::from(old.exists());
        assert_eq!(
            report.files.iter().filter(|left| left.unmade).count(),
            usize::from(!loose.exists())
        );
        if old.exists() {
            assert_eq!(fs::read(&old).unwrap(), b"old");
        }
    }
    assert!(
        (20..80).contains(&unmade) && (20..80).contains(&returned),
        "{unmade} unmade, {returned} returned"
    );
}

#[test]
fn a_removal_with_its_folder_synced_is_certain() {
    for seed in 0..20 {
        let (_folder, path, mut disk, _) = disk_with(b"gone");
        fs::remove_file(&path).unwrap();
        disk.remove(&path, true);
        disk.cut(&mut Chance::new(seed)).unwrap();
        assert!(!path.exists());
    }
}

#[test]
fn what_a_failed_sync_lost_no_later_sync_saves() {
    let mut gone = 0;
    for seed in 0..100 {
        let (_folder, path, mut disk, inode) = disk_with(b"");
        let mut chance = Chance::new(seed);
        disk.write(inode, 0, &[5; 512]);
        disk.fail_sync(inode, &mut chance);
        disk.sync(inode);
        disk.cut(&mut chance).unwrap();
        gone += usize::from(fs::read(&path).unwrap() != [5; 512]);
    }
    assert!((20..90).contains(&gone), "{gone} of 100 lost");
}
