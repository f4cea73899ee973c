"""Words that the training text of the shipped tagger is composed of: all written for it, none taken from a data set."""

from __future__ import annotations

FIRST = """Ann Anna Bob Carl Carla Clara David Diana Edward Elena Emily Emma Eric Eva Felix Fiona Frank George Grace Hannah Harry
Helen Henry Hugo Ian Ida Irene Isaac Ivan Jack Jacob James Jane Jason Jean Jenny Joan John Jonas Joseph Joshua Julia Karen Karl
Kate Kevin Laura Leo Liam Linda Lisa Louis Lucas Lucy Luke Maria Marie Mark Martha Martin Mary Matthew Max Michael Mia Nathan Nina
Noah Nora Olga Oliver Olivia Oscar Patricia Patrick Paul Paula Peter Philip Rachel Rebecca Richard Robert Rosa Ruth Ryan Samuel Sara
Sarah Simon Sofia Sophie Stephen Steven Susan Teresa Thomas Tina Tom Victor Vera William Zoe Aaron Abigail Adam Alan Albert Alice
Amanda Amy Andrea Andrew Angela Anthony Arthur Barbara Benjamin Betty Brandon Brenda Brian Carol Catherine Charles Charlotte
Christina Christopher Cynthia Daniel Deborah Dennis Donald Donna Dorothy Douglas Elizabeth Eugene Evelyn Gary Gerald Gloria Gregory
Harold Heather Jeffrey Jennifer Jeremy Jerry Jessica Joyce Judith Justin Kathleen Keith Kelly Kenneth Kimberly Larry Lawrence Logan
Margaret Marilyn Megan Melissa Michelle Nancy Nicholas Nicole Pamela Raymond Roger Ronald Roy Russell Samantha Sandra Scott Sean
Sharon Shirley Stephanie Terry Theresa Timothy Tyler Vincent Virginia Walter Wayne Alejandro Ana Andrés Antonio Beatriz Camila
Carlos Carmen Catalina Cristina Daniela Diego Eduardo Enrique Esteban Fernanda Fernando Francisco Gabriel Gabriela Guadalupe
Guillermo Gustavo Héctor Inés Isabel Javier Jorge José Juan Juana Lucía Luis Luisa Manuel Marcos Mariana Mateo Mercedes Miguel Mónica
Natalia Pablo Pedro Pilar Rafael Ramón Raúl Ricardo Roberto Rocío Rodrigo Rosario Salvador Santiago Sergio Silvia Valentina Ximena
Alessandro Bruno Chiara Davide Elisa Enzo Federica Filippo Francesca Giacomo Giorgia Giovanni Giulia Giuseppe Lorenzo Luca Marco
Matteo Paolo Pietro Riccardo Stefano Aurélie Baptiste Benoît Camille Chloé Claire Clément Didier Émile Fabien François Geneviève
Guillaume Hélène Jérôme Léa Lucie Manon Mathieu Mathilde Nathalie Nicolas Océane Pascal Pierre Quentin Rémi Sébastien Sylvie Thibault
Yves Anke Bernd Birgit Dieter Dirk Dörte Ernst Franz Friedrich Fritz Gerd Gisela Günter Hans Heidi Heike Heinrich Helga Hermann Horst
Ingrid Jens Jörg Jürgen Katrin Klaus Kurt Lars Lena Lothar Ludwig Lukas Manfred Markus Matthias Monika Otto Petra Rainer Ralf Renate
Rolf Sabine Silke Stefan Susanne Swen Thorsten Torsten Tobias Ulrich Ursula Uwe Volker Werner Wolfgang Agneta Anders Anneli Astrid
Birgitta Bjørn Dag Einar Elin Erik Freja Gunnar Gustav Håkan Helge Henrik Inge Ingeborg Johan Kaisa Karin Kirsten Knut Kristian Lasse
Leif Linnea Magnus Maja Märta Mats Mikael Mikko Niels Nils Olav Ole Pekka Pernille Rasmus Rune Sanna Sigrid Signe Solveig Sofie Sven
Svein Tapio Tore Torbjörn Ulla Viggo Agnieszka Aleksander Andrzej Bogdan Bożena Dariusz Dorota Elżbieta Ewa Grzegorz Halina Jacek
Jadwiga Jan Janusz Jerzy Kamil Katarzyna Krystyna Krzysztof Łukasz Magdalena Maciej Małgorzata Marek Mateusz Michał Paweł Piotr
Stanisław Tadeusz Tomasz Wojciech Zbigniew Zofia Boris Dmitri Ekaterina Galina Igor Irina Kirill Ksenia Lev Lyudmila Maksim Mikhail
Nadezhda Natalya Nikolai Oksana Oleg Pavel Roman Ruslan Sergei Svetlana Tatiana Vadim Valentin Valery Vasily Vladimir Yana Yuri
Bohumil Dagmar Ivana Jaroslav Jiří Jitka Květa Ladislav Libor Ludmila Lenka Miloš Milan Miroslav Ondřej Petr Radek Stanislav
Tereza Václav Vlasta Zdeněk Zuzana Ante Branka Dejan Dragan Goran Ivo Jelena Josip Luka Marija Mirjana Nenad Nikola Petar Slavica
Snežana Stjepan Tomislav Vesna Zoran Željko Attila Balázs Eszter Ferenc Gábor Géza Ildikó Imre Katalin László Márta Sándor Tamás Zoltán
Alexandros Dimitrios Eleni Georgios Ioannis Konstantinos Nikolaos Sofia Vasilis Ayşe Burak Cem Deniz Elif Emre Fatma Hakan Hasan
Hüseyin Kemal Leyla Mehmet Mustafa Ömer Selin Serkan Yusuf Zeynep Abdullah Ahmed Aisha Ali Amina Amir Bilal Fadi Farah Fatima Hamid
Hassan Ibrahim Imran Jamal Karim Khadija Khalid Layla Mahmoud Mariam Mohammed Nadia Nasser Omar Rashid Salma Samir Tariq Yasmin Zahra
Aditya Ananya Anil Arjun Asha Deepak Divya Gaurav Kavita Kiran Krishna Lakshmi Manoj Meera Neha Nikhil Pooja Pradeep Priya Rahul Raj
Rajesh Ravi Rohit Sandeep Sanjay Shreya Sunil Sunita Suresh Vijay Vikram Akira Asami Daisuke Haruka Hiroshi Kaori Keiko Kenji Mai
Makoto Naoko Sakura Satoshi Takashi Takeshi Yuki Yumi Yuto Eun-ji Hyun-woo Ji-hoon Ji-woo Min-jun Seo-yeon Soo-jin Bao Chau Duc Hanh
Huong Lan Linh Minh Nam Ngoc Phuong Quang Thanh Thao Tuan Adaeze Amara Chidi Chinedu Emeka Folake Ifeoma Kwame Kofi Ngozi Nneka Obinna
Oluwaseun Tunde Yaw Zuri Wei Ming Xiaoming Li-Hua Jing Mei Jun Lei Hui Yan Fang Qiang Ling Xin Ying Tao""".split()
LAST = (
    """Adams Allen Anderson Bailey Baker Barnes Bell Bennett Black Bloom Boyd Brooks Brown Bryant Burke Burns Butler Campbell Carter Castle
Chapman Clark Clarke Cohen Cole Collins Cook Cooper Cox Crawford Cross Davies Davis Dawson Dean Dixon Doyle Duncan Dunn Edwards Ellis
Evans Fisher Fletcher Ford Foster Fox Fraser Freeman Gardner Gibson Gilbert Gordon Graham Grant Gray Green Griffin Hall Hamilton
Hansen Harper Harris Harrison Hart Harvey Hayes Henderson Hill Holmes Howard Hudson Hughes Hunt Hunter Jackson Jenkins Johnson
Jones Jordan Kelly Kennedy King Knight Lambert Lawson Lee Lewis Long Lowe Marsh Marshall Mason Miller Mills Mitchell Moore Morgan Morris
Murphy Murray Myers Nelson Newman Nichols O'Brien O'Connor O'Neill Owen Palmer Parker Payne Perkins Perry Phillips Pierce Porter
Powell Price Quinn Reed Reid Reynolds Rice Richards Riley Roberts Robinson Rogers Rose Ross Russell Ryan Sanders Saunders Scott Shaw
Simmons Simpson Smith Spencer Stevens Stewart Stone Sullivan Taylor Thompson Tucker Turner Walker Wallace Ward Warren Watson Watts
Webb Wells West Wheeler White Williams Wilson Wood Wright Young Alonso Álvarez Blanco Cabrera Calderón Campos Castillo Castro Cortés
Cruz Delgado Díaz Domínguez Escobar Espinoza Fernández Flores Fuentes García Gómez González Guerrero Gutiérrez Hernández Herrera
Ibarra Jiménez León López Marín Márquez Martínez Medina Méndez Mendoza Molina Morales Moreno Muñoz Navarro Núñez Ortega Ortiz Peña
Pérez Ramírez Ramos Reyes Ríos Rivera Rojas Romero Rubio Ruiz Salazar Sánchez Santos Serrano Silva Soto Suárez Torres Vargas Vásquez
Vega Velasco Zamora Almeida Alves Barbosa Barros Cardoso Carvalho Correia Costa Dias Ferreira Lopes Martins Oliveira Pereira Pinto
Ribeiro Rodrigues Sousa Souza Teixeira Bianchi Bruno Colombo Conti Costa De Luca Esposito Ferrari Fontana Gallo Greco Lombardi
Mancini Marino Moretti Ricci Rinaldi Romano Rossi Russo Santoro Arnaud Aubert Bernard Blanchard Bonnet Boyer Brunet Chevalier David
Dubois Dufour Dupont Durand Fontaine Fournier Garnier Gauthier Girard Laurent Lefebvre Legrand Lemaire Leroy Marchand Mercier Meyer
Moreau Morel Perrin Petit Picard Renard Rousseau Roux Simon Thomas Vidal Bauer Becker Berger Braun Brandt Busch Dietrich Engel Fischer
Frank Fuchs Graf Groß Haas Hahn Hartmann Herrmann Hofmann Huber Jung Kaiser Keller Klein Koch Köhler König Krämer Kraus Krause
Krüger Kuhn Lang Lehmann Lorenz Maier Mauer Mayer Möller Müller Neumann Otto Peters Pfeiffer Pohl Richter Roth Sauer Schäfer Schmidt
Schmitt Schneider Scholz Schreiber Schröder Schubert Schulz Schumacher Schuster Schwarz Seidel Simon Sommer Stein Vogel Vogt Wagner
Walter Weber Weiß Werner Winkler Winter Wolf Ziegler Zimmermann Andersen Andersson Berg Berglund Bergström Christensen Dahl
Eriksson Gustafsson Haugen Heikkinen Holm Jansson Jensen Johansen Johansson Jørgensen Karlsson Korhonen Lindberg Lindholm Lindqvist
Lund Lundgren Mäkinen Nielsen Nieminen Nilsson Nygård Olsen Olsson Pedersen Persson Rasmussen Sandberg Sjöberg Sørensen Strand
Svensson Virtanen Wikström Dąbrowski Górski Jabłoński Kaczmarek Kamiński Kowalczyk Kowalski Kozłowski Krawczyk Lewandowski
Mazur Nowak Nowicki Pawłowski Piotrowski Sikora Szymański Wiśniewski Wójcik Wróbel Zając Zieliński Bogdanov Fedorov Golubev
Ivanov Ivanova Kozlov Kuznetsov Lebedev Mikhailov Morozov Novikov Orlov Pavlov Petrov Popov Romanov Smirnov Sokolov Solovyov
Stepanov Vasiliev Volkov Zaitsev Bartoš Beneš Černý Dvořák Fiala Hájek Horák Horáková Jelínek Kolář Kučera Marek Němec Novák Nováková
Novotný Pokorný Procházka Růžička Svoboda Veselý Zeman Babić Horvat Jovanović Jurić Kovač Kovačević Marić Marković Nikolić
Novaković Perić Petrović Popović Stanković Vuković Balogh Farkas Horváth Kiss Kovács Molnár Nagy Németh Szabó Tóth Varga Angelopoulos
Georgiou Ioannou Nikolaidis Papadopoulos Aksoy Arslan Aydın Çelik Demir Kaya Koç Öztürk Şahin Yıldız Yılmaz Abbas Abdi Ahmad Aziz
Bakr Darwish Farouk Habib Haddad Hakim Hussein Khalil Khan Malik Mansour Nasser Qureshi Rahman Saleh Shah Siddiqui Agarwal Bhatt
Chopra Das Desai Gupta Iyer Jain Joshi Kapoor Kumar Mehta Menon Mishra Nair Patel Rao Reddy Sharma Singh Sinha Verma Abe Fujita
Hasegawa Hayashi Inoue Ito Kato Kimura Kobayashi Matsumoto Mori Nakamura Ogawa Saito Sasaki Sato Shimizu Suzuki Takahashi Tanaka
Watanabe Yamada Yamamoto Yoshida Choi Jang Jung Kang Kim Kwon Lim Park Shin Yoon Chen Cheng Chu Gao Guo Han He Hong Hu Huang Jiang
Kong Lai Lam Lau Leung Li Liang Lin Liu Lu Luo Ma Ng Pan Peng Qian Shen Song Sun Tan Tang Wang Wei Wong Wu Xie Xu Yang Ye Yu Yuan
Zhang Zhao Zheng Zhou Zhu Bui Dang Dinh Doan Hoang Le Ngo Nguyen Pham Phan Tran Vo Vu Adebayo Adeyemi Asante Boateng Chukwu Diallo
Eze Kamau Mensah Mwangi Ndiaye Ochieng Okafor Okeke Okonkwo Otieno Owusu Traoré De Boer De Jong De Vries Jansen Bakker Visser Smit
Van Dijk Van den Berg Mulder Bos Dekker Hendriks Janssen Willems Claes Peeters Dubois""".replace("De Luca", "DeLuca")
    .replace("Van den Berg", "Vandenberg")
    .replace("Van Dijk", "Vandijk")
    .replace("De Boer", "Deboer")
    .replace("De Jong", "Dejong")
    .replace("De Vries", "Devries")
    .split()
)
SYLLABLES = """ba be bo bra bri ca ce co da de di do dra el en er fa fe fi fra ga ge gi go gra ha he hi ho ja je ji jo ka ke ki ko kra la le
li lo lu ma me mi mo na ne ni no nu pa pe pi po pra ra re ri ro ru sa se si so sta ta te ti to tra va ve vi vo wa we wi ya yo za ze zi
zo mar ber ton lin son dor van mir lan nor val tor ker sten ham ford wick""".split()
ACCENTS = {"a": "áàäåã", "e": "éèëě", "i": "íï", "o": "óöøô", "u": "úü", "c": "čç", "s": "šś", "z": "žź", "n": "ñń", "r": "ř"}
TITLES = ["Mr.", "Mrs.", "Ms.", "Dr.", "Mr", "Mrs", "Ms", "Dr", "Prof.", "Miss", "Sir", "Herr", "Frau"]
CITIES = """London Paris Berlin Madrid Rome Vienna Oslo Dublin Lisbon Prague Warsaw Athens Helsinki Zurich Geneva Bern Munich Hamburg Cologne
Leeds Bristol Cardiff Glasgow Edinburgh Boston Chicago Dallas Denver Detroit Houston Miami Phoenix Seattle Portland Austin Atlanta
Toronto Montreal Vancouver Ottawa Sydney Melbourne Brisbane Perth Auckland Mumbai Delhi Bangalore Chennai Tokyo Osaka Kyoto Seoul
Busan Singapore Bangkok Hanoi Jakarta Manila Cairo Lagos Nairobi Accra Tunis Casablanca Lima Bogotá Quito Santiago Caracas Havana
Springfield Riverside Fairview Georgetown Franklin Clinton Madison Salem Arlington Ashland Burlington Dover Hudson Kingston Newport
Oxford Cambridge York Lincoln Bath Exeter Norwich Aarhus Odense Malmö Uppsala Turku Tampere Bergen Trondheim Gdańsk Kraków Brno Graz
Linz Lyon Nice Nantes Toulouse Bordeaux Lille Milan Turin Naples Bologna Genoa Seville Valencia Bilbao Porto Braga""".split()
COUNTRIES = """France Germany Spain Italy Norway Sweden Denmark Finland Poland Austria Switzerland Portugal Greece Ireland Belgium Hungary
Canada Mexico Brazil Argentina Chile Peru Colombia India China Japan Korea Vietnam Thailand Indonesia Australia Egypt Kenya Nigeria
Ghana Morocco Turkey Israel USA UK Netherlands Iceland Croatia Serbia Slovenia Estonia Latvia""".split()
STATES = """AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT
VT VA WA WV WI WY NSW VIC QLD ON BC AB QC NT SA WA""".split()
STREETS = """Maple Oak Cedar Pine Elm Willow Birch Park Lake Hill River Spring Church Mill Station School High Main North South East West Market
Bridge Victoria Queen King Prince Castle Garden Meadow Forest Sunset Highland Washington Lincoln Jefferson Franklin Jackson Madison
Harbour Ocean Valley Ridge Chestnut Walnut Cherry Orchard Grove Albert George York Windsor Clarence Wellington College Union Liberty
First Second Third Fourth Fifth Sixth Seventh Eighth Ninth Tenth""".split()
STREET_KINDS = "Street St St. Road Rd Rd. Avenue Ave Ave. Lane Ln Drive Dr Court Ct Place Pl Way Boulevard Blvd Close Crescent Terrace Square Parkway Highway Circle Trail Row".split()
FOREIGN_STREETS = """strasse straße gasse weg platz allee gatan vägen vej gade veien gata katu tie tie straat laan weg kade utca út ulica""".split()
BEFORE_STREETS = [
    "Rue de",
    "Rue du",
    "Avenue de",
    "Via",
    "Via della",
    "Piazza",
    "Calle",
    "Calle de",
    "Avenida",
    "Plaza de",
    "Rua",
    "Rua da",
    "ul.",
    "Ulica",
    "C/",
    "Viale",
    "Boulevard de",
    "Place de",
    "Paseo de",
]
UNITS = ["Apt.", "Apt", "Suite", "Unit", "Flat", "Floor", "Room", "#", "No.", "Building", "Block", "P.O. Box", "PO Box"]
ORG_SUFFIX = [
    "Inc",
    "Inc.",
    "LLC",
    "Ltd",
    "Ltd.",
    "Limited",
    "PLC",
    "Corp",
    "Corp.",
    "Corporation",
    "Group",
    "Holdings",
    "GmbH",
    "AG",
    "S.A.",
    "SA",
    "SpA",
    "BV",
    "NV",
    "AB",
    "Oy",
    "A/S",
    "& Co",
    "& Co.",
    "and Sons",
    "& Sons",
    "Partners",
    "Associates",
    "Company",
    "Co.",
]
ORG_WORDS = """Global National United Pacific Atlantic Northern Southern Eastern Western Central First Premier Prime Royal Capital Summit Horizon
Pioneer Quantum Vertex Apex Delta Omega Alpha Nova Stellar Solar Lunar Blue Red Green Silver Golden Bright Clear Rapid Swift Smart
Digital Open Cloud Data Cyber Metro Urban Rural Alpine Coastal Harbor River Mountain Evergreen Liberty Heritage Legacy Modern Future
Dynamic Integrated Advanced Applied Precision Reliable Trusted Universal Continental""".split()
ORG_NOUNS = """Bank Insurance Capital Energy Foods Motors Airlines Systems Solutions Technologies Software Networks Media Pictures Records
Pharmaceuticals Laboratories Logistics Freight Shipping Steel Chemicals Textiles Furniture Electronics Semiconductors Robotics
Analytics Consulting Advisors Investments Securities Financial Trust Fund Ventures Properties Realty Construction Engineering Design
Studios Games Sports Fitness Health Clinic Hospital University College Institute Academy School Foundation Society Association
Council Museum Library Orchestra Theatre Brewery Bakery Farms Organics Outfitters Apparel Jewelers Books Press Publishing Telecom
Mobile Wireless Power Water Gas Oil Mining Timber Paper Plastics Glass Tools Machinery Hardware Supply Services Cycle Concepts""".split()
PRODUCTS = """Premium Gold Platinum Basic Plus Pro Home Business Internet Mobile Visa Mastercard Android Windows Excel Wi-Fi Bluetooth Monday Tuesday
Wednesday Thursday Friday Saturday Sunday January February March April May June July August September October November December
Christmas Easter English German French Spanish Italian Polish Chinese Japanese Russian Dutch Swedish American British European Asian
African Internet Web Customer Support Sales Billing Order Invoice Ticket Refund Delivery Account Card PIN ATM Bitcoin USD EUR GBP
Wisdom Discipline Rock Jazz Blues Pop Guitar Love Summer Winter God Earth Moon Sun President Manager Director Doctor Nurse Teacher
Engineer Analyst Developer Senior Junior Chief Officer Assistant""".split()
LOWER = """account order parcel refund card payment statement balance transfer meeting contract invoice ticket login password delivery
subscription upgrade loan mortgage deposit branch appointment passport insurance claim policy report project budget release server
website email phone laptop printer screen garden kitchen train flight hotel concert film song album novel match team season price
weather dinner lunch holiday school exam class doctor hospital medicine""".split()

ZH_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林郑谢罗梁宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付"
    "方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁"
)
ZH_DOUBLE = ["欧阳", "司马", "上官", "诸葛", "东方", "皇甫", "尉迟", "公孙", "慕容", "令狐", "司徒", "夏侯"]
ZH_GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红梅建国文志海波鹏飞辉云龙斌浩宇轩子涵梓欣怡雨晨佳琪思远俊豪天佑嘉诚诗雅梦瑶雪莹晓东晓燕"
    "春生永福振兴家辉世杰立群新民学军长江小平大山爱国光明正义德康宏达庆祥金龙银凤玲玲丹丹婷婷倩莉薇琳颖慧洁璐璇可馨一诺若曦沐泽铭睿博文昊天皓轩奕辰启航"
)
ZH_PLACES = """北京 上海 天津 重庆 广州 深圳 杭州 南京 苏州 无锡 宁波 温州 合肥 福州 厦门 泉州 南昌 济南 青岛 烟台 郑州 洛阳 武汉 宜昌 长沙 株洲 佛山 东莞 珠海
中山 南宁 桂林 海口 三亚 成都 绵阳 贵阳 遵义 昆明 大理 西安 咸阳 兰州 西宁 银川 乌鲁木齐 拉萨 呼和浩特 太原 石家庄 唐山 保定 沈阳 大连 长春 吉林 哈尔滨 大庆""".split()
ZH_PROVINCES = """河北 山西 辽宁 吉林 黑龙江 江苏 浙江 安徽 福建 江西 山东 河南 湖北 湖南 广东 海南 四川 贵州 云南 陕西 甘肃 青海""".split()
ZH_DISTRICTS = """朝阳 海淀 西城 东城 丰台 浦东新 徐汇 静安 黄浦 闵行 天河 越秀 白云 海珠 南山 福田 罗湖 宝安 龙岗 西湖 上城 滨江 余杭 鼓楼 玄武 江宁 武侯 锦江
青羊 高新 雁塔 碑林 洪山 武昌 江汉 岳麓 雨花 天心 思明 湖里 市南 历下 中山 沙河口 和平 铁西 城关 五华 盘龙 渝中 江北 南岸""".split()
ZH_ROAD_CHARS = "中山人民解放建设和平长江黄河北京南京上海天府科技文化新华胜利友谊东风光明体育学院平安幸福迎宾滨河湖滨花园工业创新世纪金融延安复兴淮海"
ZH_ROADS = ["路", "街", "大道", "大街", "巷", "弄", "胡同", "中路", "东路", "西路", "南路", "北路", "一路", "二路"]
ZH_ESTATES = "阳光花园 锦绣江南 翠湖山庄 金色家园 东方明珠 世纪城 碧桂苑 御景湾 幸福里 康乐小区 紫荆苑 望江公寓 龙湖花园 香榭丽舍 和谐家园 梧桐苑 丽景新城".split()
ZH_COINED = "华远 鼎盛 恒信 金石 天诚 博雅 瑞丰 宏图 联创 众合 启明 新锐 东方 海通 中科 盛世 安泰 嘉禾 永利 万通 正大 国泰 同方 星海 蓝天 绿源 优品 易达 速捷 智云 云帆 慧聪 方正 长虹 金鹰 飞鸿 明德 益民".split()
ZH_INDUSTRIES = "科技 贸易 实业 网络科技 信息技术 电子商务 投资管理 文化传媒 物流 食品 医药 生物科技 房地产开发 建筑工程 物业管理 教育咨询 餐饮管理 汽车销售 新能源 环保 化工 机械制造 服装 家具 旅游 广告".split()
ZH_COMPANY = ["有限公司", "股份有限公司", "有限责任公司", "集团", "公司", "集团有限公司"]
ZH_BODIES = "银行 证券 保险 大学 医院 中学 小学 研究院 律师事务所 会计师事务所 基金会 协会 出版社 日报社 电视台 酒店 商场 超市 学院 博物馆".split()
